"""Settings in force at a moment of a run: those that polls had shown by then, as an ingress drains."""

import pytest

from reports.analysis.lag.changes import Changes
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import ConfigChange

KEY = "app/Model"


def changes(start: DeploymentInfo, later: DeploymentInfo) -> Changes:
    """A configuration of 100 s, and one that the poll answered at 110.2 s showed."""
    row = ConfigChange(KEY, 110.0, 110.2, later, ("autoscaling_config",))
    return Changes(zero_s=100.0, deployed=start, configs=(row,))


def test_a_configuration_is_in_force_once_a_poll_showed_it():
    start, later = DeploymentInfo({"max_replicas": 2}), DeploymentInfo({"max_replicas": 5})
    found = changes(start, later)

    assert found.info_at(110.1) == start
    assert found.info_at(110.2) == later


@pytest.mark.parametrize(("is_ingress", "drain_s"), [(True, 30.0), (None, 30.0), (False, None)])
def test_the_draining_period_of_the_start_stays(is_ingress: bool | None, drain_s: float | None):
    start = DeploymentInfo({"max_replicas": 2}, least_drain_s=30.0)
    later = DeploymentInfo({"max_replicas": 5}, is_ingress=is_ingress)

    found = changes(start, later).info_at(120.0)

    assert found is not None
    assert found.least_drain_s == drain_s
