"""Several runs of one command lie in one folder, which is there only if there are runs."""

from pathlib import Path

import pytest

from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.command import run
from scalelag.cli.run.retries import AttemptResult
from scalelag.cli.run.signature import RunArguments
from scalelag.errors import TargetError, UsageError

ARGUMENTS = RunArguments(host="http://127.0.0.1:8000", runs=2)


def refused(*_args):
    raise TargetError("nothing answers there")


def run_into(own, _earlier):
    """Make a run directory where a load process would."""
    folders = list(Path(own.given["out"]).glob("*"))
    (Path(own.given["out"]) / f"run-{len(folders) + 1}").mkdir()
    return AttemptResult(0)


@pytest.mark.parametrize("was_there", [True, False])
def test_runs_that_are_refused_leave_no_folder(tmp_path, monkeypatch, was_there):
    out = tmp_path / "runs"
    if was_there:
        out.mkdir()
    monkeypatch.setattr(Attempt, "run", refused)

    with pytest.raises(TargetError, match="nothing answers"):
        run(ARGUMENTS, {"out": str(out), "steps": "1rps:1s"})

    assert out.exists() == was_there
    assert list(tmp_path.rglob("*-x2")) == []


def test_what_is_in_the_way_before_a_run_is_said_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = RunArguments(app="missing_module:app", runs=2)

    with pytest.raises(UsageError, match="missing_module"):
        run(arguments, {"out": "runs", "steps": "1rps:1s"})

    assert list(tmp_path.iterdir()) == []


def test_runs_lie_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Attempt, "run", run_into)

    code = run(ARGUMENTS, {"out": str(tmp_path), "steps": "1rps:1s", "name": "nightly"})

    (folder,) = tmp_path.iterdir()
    assert code == 0
    assert folder.name.endswith("-nightly-x2")
    assert sorted(path.name for path in folder.iterdir()) == ["run-1", "run-2"]
