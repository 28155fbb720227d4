"""`scalelag matrix`: the folder that it leaves, what it prints, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports.model.formats import ComparisonFormat
from scalelag.cli import matrix as module
from scalelag.cli.main import app
from scalelag.cli.matrix import MatrixOptions, matrix
from scalelag.cli.run.retries import AttemptResult
from scalelag.cli.run.signature import RunArguments
from scalelag.errors import TargetError, UsageError

STORED = Path(__file__).parents[1] / "golden" / "stored" / "demo"


@pytest.fixture
def asked(monkeypatch):
    """Runs asked for, in their order. Each gets the stored run, and Ray 2.99.0 cannot be had."""
    found = []

    def run(attempt, folder, _retries):
        found.append((attempt.ray.version, attempt.apps[0].get("args"), attempt.given["name"]))
        if attempt.ray.version == "2.99.0":
            raise TargetError("Ray 2.99.0 cannot be set up")
        path = folder / f"run-{len(found)}"
        shutil.copytree(STORED, path)
        return AttemptResult(0, str(path))

    monkeypatch.setattr(module, "_run", run)
    return found


def made(ray, out, output=None, output_format=ComparisonFormat.JSON, **given):
    options = MatrixOptions(ray=ray, times=2, min_effect=1.1, mains=())
    arguments = RunArguments(app="slow_start", app_arg=("num_cpus=0.2",))
    return matrix(options, arguments, {"out": str(out), **given}, output_format, output)


def test_runs_lie_by_version_beside_the_answer(asked, tmp_path):
    answer = tmp_path / "answer.json"

    code = made("2.55.1, 2.60.0 init_time_s=5", tmp_path / "runs", answer)

    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-slow-start-matrix")
    assert {path.name for path in folder.iterdir()} == {
        *("matrix.json", "ray-2.55.1", "ray-2.60.0-init_time_s=5"),
    }
    assert (folder / "matrix.json").read_bytes() == answer.read_bytes()
    assert [len(one["runs"]) for one in json.loads(answer.read_bytes())["entries"]] == [2, 2]
    assert code == 0
    shared, own = {"num_cpus": "0.2"}, {"num_cpus": "0.2", "init_time_s": "5"}
    assert (
        asked
        == [
            ("2.55.1", shared, "slow-start"),
            ("2.60.0", own, "slow-start"),
        ]
        * 2
    )


def test_a_version_that_cannot_be_had_is_a_row_and_fails_a_strict_matrix(asked, tmp_path, capsys):
    code = made(
        "2.55.1,2.99.0,2.60.0", tmp_path, output_format=ComparisonFormat.MARKDOWN, strict=True
    )

    assert code == 5
    assert [version for version, *_ in asked].count("2.99.0") == 1
    said = capsys.readouterr()
    assert "run 1: Ray 2.99.0 cannot be set up" in said.out
    assert "matrix: Ray 2.55.1, run 2 of 2" in said.err


@pytest.mark.parametrize(
    ("ray", "given", "why"),
    [
        ("2.60.0", {}, "two or more versions"),
        ("2.60.0,2.5x", {}, "is no version"),
        ("2.60.0,1.9", {}, "and later are supported"),
        ("2.55.1,2.60.0", {"steps": "5rpm:3s"}, "5rpm"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_run(asked, tmp_path, ray, given, why):
    with pytest.raises(UsageError, match=why):
        made(ray, tmp_path / "runs", **given)

    assert asked == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("option", ["--host", "--web", "--runs", "--calibrate"])
def test_options_that_make_no_sense_here_do_not_exist(option):
    result = CliRunner().invoke(app, ["matrix", "--ray", "2.55.1,2.60.0", option, "x"])

    assert result.exit_code == 2
    assert option in result.output
