"""Processes of a simulation end with the command, however it ends, and print on standard error."""

import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from reports.whatif.repeat import Trial
from scalelag.autoscaler.trials import Job, PolicyPath, parallel
from scalelag.cli.whatif import WhatIfOptions, prepare
from scalelag.record.run_dir import load_run
from tests.support.processes import MARK, marked
from tests.support.waiting import wait_for

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
DEADLINE_S = 600.0
"""Time that `make test` may give these tests too little of the processor for."""
SLOW = "import time\n\n\ndef decide(ctx):\n    time.sleep(1)\n    return 2, {}\n"
CHATTY = "print('imported')\n\n\ndef decide(ctx):\n    print('asked')\n    return 2, {}\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 130), (signal.SIGHUP, 130), (signal.SIGKILL, -9)]
)
def test_a_command_that_is_ended_leaves_no_process_of_its_simulation(
    tmp_path: Path, number: signal.Signals, code: int
):
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    run = shutil.copytree(DEMO, tmp_path / "run")
    before = sorted(one.name for one in run.iterdir())
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "scalelag.cli", "whatif", str(run), "--policy", "slow:decide"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: len(marked(mark)) > 1, "processes of the simulation", DEADLINE_S)
        process.send_signal(number)
        said, told = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == code, told
    wait_for(lambda: not marked(mark), "the end of all processes", DEADLINE_S)
    assert said == ""
    assert ("interrupted" in told) == (code == 130)
    assert "Traceback" not in told
    assert sorted(one.name for one in run.iterdir()) == before


def test_what_a_policy_prints_is_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "chatty_policy.py").write_text(CHATTY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    run = load_run(DEMO)
    prepared = prepare(run, (), WhatIfOptions(policy="chatty_policy:decide"))
    trial = Trial(prepared.recorded.scenario, prepared.own.steps, run.info.zero_s, seed=1)
    with parallel(lambda: None) as jobs:
        jobs([Job(trial, PolicyPath("chatty_policy:decide"))])

    said, told = capfd.readouterr()
    assert said == ""
    assert told.startswith("imported\n")
    assert "asked" in told


FAILING = {
    "Init": "class Init:\n    def __init__(self):\n        raise ValueError('init\\nfailed')\n",
    "Args": "class Args:\n    def __init__(self, x):\n        self.x = x\n",
    "gone": "def gone(ctx):\n    raise GeneratorExit\n",
    "two": "def two(a, b):\n    return 3, {}\n",
}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Init", r"--policy failing:Init: ValueError: init failed\."),
        ("Args", r"--policy failing:Args: TypeError: .*missing 1 required positional argument"),
        ("gone", r"the policy failing:gone failed 0\.0 s after its first decision: GeneratorExit"),
        ("two", r"the policy failing:two failed 0\.0 s after its first decision: TypeError"),
    ],
)
def test_a_policy_that_fails_is_told_in_one_line(tmp_path: Path, name: str, said: str):
    (tmp_path / "failing.py").write_text(FAILING[name], encoding="utf-8")
    command = [sys.executable, "-m", "scalelag.cli", "whatif", str(DEMO), "--policy"]

    ended = subprocess.run(
        [*command, f"failing:{name}"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )

    assert ended.returncode == 2, ended.stderr
    assert re.match(f"scalelag: {said}", ended.stderr), ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
