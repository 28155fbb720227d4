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
from scalelag.errors import RecordError, TargetError, UsageError
from scalelag.record.run_dir import REPORT_FILE, RUN_FILE

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


def made(ray, out, output=None, output_format=ComparisonFormat.JSON, folder=None, **given):
    options = MatrixOptions(ray=ray, times=2, folder=folder, min_effect=1.1, mains=())
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
    first, second = ("2.55.1", shared, "slow-start"), ("2.60.0", own, "slow-start")
    assert asked == [first, second, second, first]


def test_a_version_that_cannot_be_had_is_a_row_and_fails_a_strict_matrix(asked, tmp_path, capsys):
    code = made(
        "2.55.1,2.99.0,2.60.0", tmp_path, output_format=ComparisonFormat.MARKDOWN, strict=True
    )

    assert code == 5
    assert [version for version, *_ in asked].count("2.99.0") == 1
    said = capsys.readouterr()
    assert "run 1: Ray 2.99.0 cannot be set up" in said.out
    assert "matrix: Ray 2.55.1, run 2 of 2" in said.err


def stored_in(folder, *, status="complete", verdict="pass", plan=None):
    """A run of an earlier call in `folder`, of the application and the plan that `made` asks for."""
    shutil.copytree(STORED, folder)
    info, report = folder / RUN_FILE, folder / REPORT_FILE
    of_run = json.loads(info.read_bytes())
    asked = {"app": "slow_start", "app_arg": ["num_cpus=0.2", "init_time_s=5"]}
    of_run |= {"status": status, "launched": asked}
    of_run["plan"]["text"] = plan or of_run["plan"]["text"]
    info.write_text(json.dumps(of_run))
    report.write_text(json.dumps({"verdict": verdict}))


PLAN = json.loads((STORED / RUN_FILE).read_bytes())["plan"]["text"]


def test_complete_runs_of_a_matrix_that_was_broken_off_are_not_made_again(asked, tmp_path):
    answer, folder = tmp_path / "answer.json", tmp_path / "matrix"
    of_entry = folder / "ray-2.60.0-init_time_s=5"
    stored_in(of_entry / "20261130-100000-a")
    stored_in(of_entry / "20261130-100100-a", status="interrupted")
    stored_in(of_entry / "20261130-100200-a", verdict="invalid")

    code = made("2.55.1, 2.60.0 init_time_s=5", tmp_path, answer, folder=folder, steps=PLAN)

    assert [version for version, *_ in asked] == ["2.55.1", "2.60.0", "2.55.1"]
    runs = json.loads(answer.read_bytes())["entries"][1]["runs"]
    assert [Path(run).name for run in runs] == ["20261130-100000-a", "run-2"]
    assert (code, (folder / "matrix.json").read_bytes()) == (0, answer.read_bytes())


def test_runs_of_another_plan_are_refused_before_the_first_run(asked, tmp_path):
    stored_in(tmp_path / "ray-2.60.0-init_time_s=5" / "one", plan="1rps:5s")

    with pytest.raises(UsageError, match=r"--folder: .*another plan or application \(1rps:5s\)"):
        made("2.55.1, 2.60.0 init_time_s=5", tmp_path, folder=tmp_path, steps=PLAN)
    assert asked == []


@pytest.mark.parametrize("content", ["", "{", '{"verdict": 5}', "[]"])
def test_a_damaged_report_in_the_folder_is_named_before_the_first_run(asked, tmp_path, content):
    run = tmp_path / "ray-2.60.0-init_time_s=5" / "one"
    stored_in(run)
    (run / REPORT_FILE).write_text(content)

    with pytest.raises(RecordError, match=r"one/report\.json cannot be read"):
        made("2.55.1, 2.60.0 init_time_s=5", tmp_path, folder=tmp_path, steps=PLAN)
    assert asked == []


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
