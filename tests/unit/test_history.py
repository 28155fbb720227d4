"""Runs in a folder: their list, and one figure over them; what is broken is named."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console
from typer.testing import CliRunner

from reports.model.comparison import TrendPoint
from reports.model.intervals import Span
from reports.render.terminal.history import print_trend
from scalelag.cli.main import app

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "golden" / "stored"


class Done(NamedTuple):
    """Outcome of a command."""

    returncode: int
    stdout: str
    stderr: str


def scalelag(*arguments: str, width: int = 120) -> Done:
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(width)})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two runs, one of them in a group, and three that cannot be read."""
    folder: Path = tmp_path_factory.mktemp("runs")
    shutil.copytree(STORED / "node-started", folder / "late")
    shutil.copytree(STORED / "demo", folder / "group" / "early")
    for run in (folder / "late", folder / "group" / "early"):
        done = scalelag(
            "report", str(run), "--format", "json", "--output", str(run / "report.json")
        )
        assert done.returncode in (0, 4), done.stderr
    for name, text in (("none", None), ("half", '{"schema_version": 1, "run"'), ("foreign", "{}")):
        (folder / name).mkdir()
        (folder / name / "run.json").write_text("{}")
        if text is not None:
            (folder / name / "report.json").write_text(text)
    (folder / "notes.txt").write_text("no run")
    return folder


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00012, "0.00012"),
        (5.8809, "5.881"),
        (9_999.4, "9999"),
        (9_999.6, "10,000"),
        (1e6, "1,000,000"),
    ],
)
def test_large_figures_of_a_trend_are_written_out(value, shown):
    console = Console(file=io.StringIO(), width=100)

    print_trend(console, "load.planned", [TrendPoint("run", 0.0, Span(value, value, value))])

    assert f" {shown} " in console.file.getvalue()


@pytest.mark.parametrize("width", [70, 120, 200])
def test_runs_are_listed_with_their_verdicts_the_oldest_first(folder, width):
    done = scalelag("runs", str(folder), width=width)

    assert done.returncode == 0, done.stderr
    assert done.stdout.index("early") < done.stdout.index("late")
    for text in ("fail", "pass", "5.88", "9.91", "3,086.4", "2.60.0"):
        assert text in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= width


def test_what_cannot_be_read_is_listed_with_the_reason(folder):
    said = scalelag("runs", str(folder), width=300).stdout

    assert "none: it has no report.json" in said
    assert "half: report.json cannot be read" in said
    assert "foreign: report.json cannot be read" in said


def test_a_report_that_is_a_pipe_is_listed_with_the_reason(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text("{}")
    os.mkfifo(tmp_path / "one" / "report.json")

    said = scalelag("runs", str(tmp_path)).stdout

    assert "one: report.json: it is no file" in said


def test_runs_as_json(folder):
    found = json.loads(scalelag("runs", str(folder), "--json").stdout)

    assert set(found) == {"late", "group/early", "none", "half", "foreign"}
    assert found["group/early"]["verdict"] == "fail"
    assert found["group/early"]["ray"] == "2.60.0"
    assert found["group/early"]["scale_up_max_s"]["default/Sleeper"]["value"] == pytest.approx(
        5.88, abs=0.01
    )
    assert "reason" in found["half"]


def test_a_figure_is_drawn_over_all_runs(folder):
    done = scalelag("trend", "scale_up.total_s.max", str(folder))
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}

    assert done.returncode == 0, done.stderr
    assert lines["group/early"].count("█") < lines["late"].count("█") == 40
    assert "5.881" in lines["group/early"]
    assert any("half: " in line and "cannot be read" in line for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("name", "run", "value"),
    [
        ("Sleeper:scale_down.drain_s.max", "group/early", 1.06),
        ("requests.steps.1.latency_p99_ms", "group/early", 3109.1),
        ("load.planned", "late", 312),
    ],
)
def test_figures_are_named_as_in_gates(folder, name, run, value):
    points = json.loads(scalelag("trend", name, str(folder), "--json").stdout)

    found = next(point for point in points if point["run"] == run)
    assert found["span"]["value"] == pytest.approx(value, rel=0.01)


def test_a_figure_that_a_run_has_not_measured_says_so(folder):
    points = json.loads(
        scalelag("trend", "Sleeper:scale_up.total_s.max", str(folder), "--json").stdout
    )

    reasons = {p["run"]: p["reason"] for p in points}
    assert reasons["late"] == "not measured: there is no watched deployment Sleeper"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("requests.goodput.ratio", "there are no limits: give --slo"),
        ("steps.1.phases.restart", "there is no restart, but decide"),
        ("steps.0.movements.3.total_s", "there is none at all"),
    ],
)
def test_a_figure_that_runs_may_have_and_these_have_not_is_empty_with_the_reason(
    folder, name, reason
):
    points = json.loads(scalelag("trend", name, str(folder), "--json").stdout)

    found = {point["run"]: point["reason"] for point in points}["group/early"]
    assert found.startswith(f"not measured: {reason}")


@pytest.mark.parametrize("width", [200, 80, 40])
def test_a_trend_is_whole_at_any_width(width):
    reason = "run.json has schema_version 9, and this version reads up to 1: update scalelag"
    points = [
        TrendPoint("runs/20261130-142530-a-rather-long-name", 1.7e9, Span(12.345, 12.2, 12.5)),
        TrendPoint("runs/20261130-142531-late", None, None, reason),
    ]
    console = Console(width=width, file=io.StringIO())

    print_trend(console, "app/Model:scale_up.total_s.max", points)

    said = console.file.getvalue()
    assert all(len(line) <= width for line in said.splitlines())
    assert "..." not in said
    whole = "".join(said.split())
    for part in ("20261130-142530-a-rather-long-name", "12.35[12.2,12.5]", "".join(reason.split())):
        assert part in whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trend", "scale_up.total"], "did you mean scale_up.total_s"),
        (["trend", "zzz"], "docs/gates.md"),
        (
            ["trend", "Nope:scale_up.total_s.max"],
            "names no watched deployment (watched: default/",
        ),
        (["trend", "steps.9.total_s"], "names step 9; these runs have the steps 0 to"),
        (["trend", "load.names.nope.failed"], "names the request nope; there is /"),
        (["trend", "event.1.healed_s"], "asks for an event"),
        (["trend", "load.applications.nope.failed"], "names the application nope; there is"),
        (["trend", "load.workers.7.offset_s"], "names load process 7; there is load process 0"),
        (["trend", "steps.first.total_s"], "did you mean steps.N.total_s"),
        (["runs", "no-such-folder"], "no-such-folder is no folder"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, arguments, said):
    where = [] if "no-such-folder" in arguments else [str(folder)]

    done = scalelag(*arguments, *where)

    assert done.returncode == 2
    assert said in done.stderr


def test_an_empty_folder_has_no_runs(tmp_path):
    assert "no runs" in scalelag("runs", str(tmp_path)).stdout
    assert "no runs" in scalelag("trend", "load.planned", str(tmp_path)).stdout


# --- scalelag compare ------------------------------------------------------------------------


def test_runs_of_other_plans_are_refused_with_what_differs(folder):
    done = scalelag("compare", str(folder / "late"), "--against", str(folder / "group"))

    assert done.returncode == 2
    assert "plan: 4rps:3s,25rps:12s and 5rps:10s,40rps:20s,5rps:20s" in done.stderr
    assert "--allow-differences" in done.stderr


def test_they_are_compared_all_the_same_where_one_says_so(folder, tmp_path):
    output = tmp_path / "comparison.json"
    sides = [str(folder / "late"), "--against", str(folder / "group"), "--allow-differences"]

    done = scalelag("compare", *sides, "--format", "json", "--output", str(output))

    found = json.loads(output.read_bytes())
    assert done.returncode == 0, done.stderr
    assert found["verdict"] == "cannot be told"
    assert any(line.startswith("plan: ") for line in found["differences"])
    assert "cannot be told with 2 steps; 6 steps can" in scalelag("compare", *sides).stdout
    assert scalelag("compare", *sides, "--format", "md").stdout.startswith("## ❔ CANNOT BE TOLD")


@pytest.mark.parametrize(
    ("base", "candidate", "said"),
    [
        ("late", "late", "is on both sides"),
        ("none", "late", "run.json"),
        ("nothing-there", "late", "nothing-there"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_by_name(folder, base, candidate, said):
    done = scalelag("compare", str(folder / base), "--against", str(folder / candidate))

    assert done.returncode in (1, 2)
    assert said in done.stderr
