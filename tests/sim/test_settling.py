"""Stages that hold until they have settled, with real load against a stand-in that is steady."""

import numpy as np
import pytest

from tests.support.locust_run import assert_ran, sent_to, started


@pytest.mark.long
def test_what_follows_a_settled_stage_comes_earlier_in_every_process(target, echo, tmp_path):
    steps = ["--steps", "20rps:settle<=60s,80rps:2s", "--processes", "2"]

    with started(tmp_path, *target, *steps) as locust:
        run = locust.wait()

    assert_ran(run)
    recorded = run.recorded
    held, second = recorded.info.plan.stages
    assert f"stage 1 has settled, and ends {held.duration_s:.1f} s after its start" in run.stderr
    # A stage that is too young for two windows of latency cannot have settled.
    assert 10 < held.duration_s < 50
    due_s = np.concatenate(
        [np.arange(np.ceil(20 * held.duration_s)) / 20, second.at_s + np.arange(160) / 80]
    )
    intended_s = np.sort(recorded.requests.intended_s - recorded.info.zero_s)
    assert np.allclose(intended_s, due_s, atol=1e-6)
    assert len(sent_to(echo)) == due_s.size
    assert (run.load["planned"], run.load["not_sent"]) == (due_s.size, 0)
    assert [step["at_s"] for step in run.load["steps"]] == pytest.approx([0, second.at_s])


@pytest.mark.long
def test_users_of_the_next_stage_come_when_the_one_before_has_settled(target, tmp_path):
    with started(tmp_path, *target, "--steps", "2users:settle<=60s,3users:2s") as locust:
        run = locust.wait()

    assert_ran(run)
    info = run.recorded.info
    held = info.plan.stages[0]
    assert 10 < held.duration_s < 50
    assert [edge.planned_s for edge in info.edges] == pytest.approx(
        [0, held.duration_s, held.duration_s + 2]
    )
    assert abs(info.edges[1].actual_s - info.edges[1].planned_s) < 0.2
