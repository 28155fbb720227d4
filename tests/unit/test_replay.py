"""Replay of recorded open requests through Ray's policy."""

from pathlib import Path

import msgspec

from reports.whatif.replay import replay
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler
from scalelag.autoscaler.replay_process import replay_in_process
from scalelag.record.run_dir import load_run

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


def test_the_replay_of_a_stored_run_decides_as_its_controller_did():
    run = load_run(DEMO)
    logged = [e for e in run.events if e.kind in ("upscaling", "downscaling")]

    found = replay_in_process(DEMO, KEY)

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

    found = replay(run, KEY, lambda: RayAutoscaler({KEY: run.info.target.deployments[KEY]}))

    assert found.phases == ()
    assert "several deployments" in (found.reason or "")


def test_a_path_that_is_no_run_gives_a_reason(tmp_path: Path):
    assert "holds no run.json" in (replay_in_process(tmp_path, KEY).reason or "")
