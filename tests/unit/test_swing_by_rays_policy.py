"""A swing that Ray's own policy makes of its settings; the advice, tried by the same policy."""

import re

import msgspec
import pytest

from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.diagnosis.stay_rules import OSCILLATION
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.whatif.replay import ReplayTimes, replay_decisions
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.step_facts import BEGUN_S, ENDED_S, KEY, SETTINGS, decision, facts

BRISK = SETTINGS | {"max_replicas": 9, "upscale_delay_s": 1.0, "downscale_delay_s": 1.0}


def decided(settings: dict[str, float], opened: float) -> Timeline:
    """Decisions of Ray's policy on a constant number of open requests, from the step on."""
    quiet_ray()
    info = DeploymentInfo(settings, target_replicas=1)
    times = ReplayTimes(BEGUN_S, ENDED_S, push_at_s=BEGUN_S, start_s=0.5)
    made = replay_decisions(
        KEY, RayAutoscaler({KEY: info}), policy_of(info), 1, lambda _at_s: opened, times
    )
    polls = (ReplicaPoll(BEGUN_S - 1, BEGUN_S - 0.9, 1, 1, 1),)
    return Timeline(polls, tuple(decision(d.at_s, d.before, d.after) for d in made), ())


def judged(settings: dict[str, float], opened: float):
    info = DeploymentInfo(settings)
    made = facts(deployment=info, policy=policy_of(info))
    return finding_of(
        OSCILLATION, msgspec.structs.replace(made, timeline=decided(settings, opened))
    )


@pytest.mark.parametrize(
    "factors",
    [
        {"upscaling_factor": 2.0, "downscaling_factor": 2.0},
        {"upscaling_factor": 3.0, "downscaling_factor": 2.5},
        {"downscaling_factor": 2.0},
    ],
)
def test_with_the_advised_value_the_swing_is_gone(factors):
    finding = judged(BRISK | factors, 5.0)

    advice = finding.advice
    value = float(re.search(r"to (\d+(?:\.\d+)?): the swing ends", advice)[1])
    advised = dict.fromkeys(re.findall(r"(\w+) from", advice), value)
    assert set(advised) == set(factors)
    assert judged(BRISK | factors | advised, 5.0) is None


@pytest.mark.parametrize("opened", [0.5, 3.0, 5.0, 8.5])
def test_rays_defaults_for_factors_do_not_swing(opened):
    assert judged(BRISK, opened) is None
