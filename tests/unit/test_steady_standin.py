"""A stand-in on which nothing changes answers as any other."""

import json

import msgspec
import pytest

from tests.support.standin.cluster import Cluster, Control
from tests.support.standin.scenarios import one_deployment, steady_replica

HEALTH = "controller_health_metrics"


@pytest.mark.parametrize("schema", ["2.60", "2.10"])
def test_a_steady_one_answers_as_one_that_looks_at_each_replica(schema):
    script = one_deployment(steady_replica("r1"), steady_replica("r2"), target=2, schema=schema)
    usual = Cluster(script)
    steady = Cluster(msgspec.structs.replace(script, steady=True))
    steady.zero_s = usual.zero_s
    for _ in range(2):
        expected, found = json.loads(usual.applications()), json.loads(steady.applications())
        told = [body.pop(HEALTH, None) for body in (expected, found)]

        assert found == expected
        assert [one is not None for one in told] == [schema == "2.60"] * 2


def test_a_new_script_is_looked_at():
    steady = Cluster(one_deployment(steady_replica("r1"), steady=True))
    steady.applications()
    steady.control(Control(script=one_deployment(steady_replica("r7"), steady=True)))

    assert b"r7" in steady.applications()
