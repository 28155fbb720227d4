"""Replay of recorded open requests through Ray's policy."""

from pathlib import Path

import msgspec
import pytest

from reports.analysis.load.concurrency import Concurrency
from scalelag.autoscaler.replay_process import replay_in_process
from scalelag.record.run_dir import load_run

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


def test_the_replay_of_a_stored_run_decides_as_its_controller_did():
    run = load_run(DEMO)
    logged = [e for e in run.events if e.kind in ("upscaling", "downscaling")]

    found = replay_in_process(run, KEY, Concurrency(run.requests))

    assert found.reason is None
    for decisions in found.phases:
        assert [(d.before, d.after) for d in decisions] == [(1, 4), (4, 1)]
        for decision, event in zip(decisions, logged, strict=True):
            # Within one push of the handle: the record does not tell when it pushes.
            assert abs(decision.at_s - event.at_s) <= 1.0 + 0.1


def test_a_run_with_several_deployments_gives_a_reason():
    run = load_run(DEMO)
    target = msgspec.structs.replace(run.info.target, watched=(KEY, "default/Other"))
    run = msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, target=target))

    found = replay_in_process(run, KEY, Concurrency(run.requests))

    assert found.phases == ()
    assert "several deployments" in (found.reason or "")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"metrics_interval_s": 0.0},
            "its metrics_interval_s or look_back_period_s is not above 0",
        ),
        ({"target_ongoing_requests": -1.0}, "target_ongoing_requests"),
    ],
)
def test_settings_that_ray_refuses_give_a_reason(settings, reason):
    run = load_run(DEMO)
    described = run.info.target.deployments[KEY]
    changed = msgspec.structs.replace(described, autoscaling={**described.autoscaling, **settings})
    target = msgspec.structs.replace(run.info.target, deployments={KEY: changed})
    run = msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, target=target))

    found = replay_in_process(run, KEY, Concurrency(run.requests))

    assert found.phases == ()
    assert reason in (found.reason or "")
