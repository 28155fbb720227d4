"""Policies of the user's own: what they keep in their modules is of one repetition alone."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.whatif.repeat import Trial
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler
from scalelag.autoscaler.trials import Job, PolicyPath, run_job
from scalelag.autoscaler.user_policy import load_policy
from scalelag.cli.whatif import WhatIfOptions, prepare
from scalelag.record.run_dir import load_run
from tests.unit.autoscaler_cases import KEY, START_S, info_of

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
NEIGHBOUR = """import time
asked = []
def moment():
    asked.append(time.time())
    return len(asked)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(policy: Any) -> RayAutoscaler:
    ours = RayAutoscaler({KEY: info_of()}, policy)
    ours.set_running(KEY, ["r0"])
    ours.decide(START_S, {KEY: 1})
    return ours


def test_a_policy_that_is_imported_anew_keeps_nothing_nor_does_what_it_imports(folder: Path):
    (folder / "counting_neighbour.py").write_text(NEIGHBOUR)
    (folder / "counting_policy.py").write_text(
        "from counting_neighbour import moment\n"
        "calls = 0\n"
        "def policy(ctx):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    return 1, {'calls': calls, 'asked': moment()}\n"
    )
    for _ in range(3):
        state = asked(load_policy("counting_policy:policy", fresh=True)).policy_state[KEY]

        assert (state["calls"], state["asked"]) == (1, 1)


def test_modules_that_a_policy_imports_see_the_virtual_time(folder: Path):
    (folder / "timing_neighbour.py").write_text("import time\ndef now():\n    return time.time()\n")
    (folder / "timing_policy.py").write_text(
        "import timing_neighbour\ndef policy(ctx):\n    return 1, {'now': timing_neighbour.now()}\n"
    )

    assert asked(load_policy("timing_policy:policy")).policy_state[KEY]["now"] == START_S


def test_repetitions_of_a_policy_that_throws_dice_do_not_hang_on_what_ran_before(folder: Path):
    (folder / "dice_policy.py").write_text(
        "import random\n"
        "turns = 0\n"
        "def policy(ctx):\n"
        "    global turns\n"
        "    turns += 1\n"
        "    return random.choice([1, 2, 3]) if turns % 50 == 0 else ctx.target_num_replicas, {}\n"
    )
    prepared = prepare(load_run(DEMO), (), WhatIfOptions())
    zero_s = prepared.recorded.run.info.zero_s
    trial = Trial(prepared.recorded.scenario, prepared.own.steps, zero_s, seed=7)
    jobs = [Job(trial, PolicyPath("dice_policy:policy"))] * 2
    other = Job(msgspec.structs.replace(trial, seed=8), PolicyPath("dice_policy:policy"))

    alone, again = run_job(jobs[0]), (run_job(other), run_job(jobs[1]))[1]

    assert alone.outcome.whole == again.outcome.whole
    assert alone.policy_state == again.policy_state
