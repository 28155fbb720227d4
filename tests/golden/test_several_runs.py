"""Reports on several runs (compare, runs, trend), on the two stored ones, held against expected/.

The commands themselves are called, as in the folder of the run directories.
"""

import shutil
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from reports.analysis.comparing.compare import compare as compare_runs
from reports.model.formats import ComparisonFormat
from reports.model.intervals import Span
from reports.model.report import Report
from reports.render.json_report import render_json
from reports.render.terminal.comparison import (
    print_comparison,
    render_json_comparison,
    render_markdown_comparison,
)
from scalelag.cli.signatures import compare, runs, trend
from tests.golden.expected_files import EXPECTED, checked, steady
from tests.support.stored_runs import RUNS, STORED, analysed

HERE = EXPECTED / "several-runs"
WIDTHS = (80, 120)
FIGURE = "scale_up.total_s.max"
DEMO, NODE_STARTED = (Path("runs", name) for name in RUNS)
FILES = {
    *(f"{what}-{width}.txt" for what in ("compare", "five", "runs", "trend") for width in WIDTHS),
    *(f"{what}.json" for what in ("compare", "five", "runs", "trend")),
    *(f"{what}.md" for what in ("compare", "five")),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """We are where `runs` holds both, with their reports, and one that has none."""
    for name in RUNS:
        shutil.copytree(STORED / name, tmp_path / "runs" / name)
        report = render_json(analysed(name).report)
        (tmp_path / "runs" / name / "report.json").write_bytes(report)
    (tmp_path / "runs" / "killed").mkdir()
    shutil.copy(STORED / "demo" / "run.json", tmp_path / "runs" / "killed")
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def printed(folder, capsys, monkeypatch):
    """Return what a command prints on a console of some width."""

    def call(width, command, *arguments, **options):
        monkeypatch.setenv("COLUMNS", str(width))
        assert command(*arguments, **options) == 0
        return capsys.readouterr().out.encode()

    return call


def compared(output_format=ComparisonFormat.TERMINAL):
    return compare(
        [DEMO], against=[NODE_STARTED], allow_differences=True, output_format=output_format
    )


def test_every_file_belongs_to_a_test():
    assert {path.name for path in HERE.iterdir()} == FILES


@pytest.mark.parametrize("width", WIDTHS)
def test_two_real_runs_compared_on_a_terminal(printed, width):
    checked(HERE / f"compare-{width}.txt", printed(width, compared))


def test_two_real_runs_compared_in_markdown(printed):
    checked(HERE / "compare.md", printed(80, compared, ComparisonFormat.MARKDOWN))


def test_two_real_runs_compared_in_json(printed):
    checked(HERE / "compare.json", steady(printed(80, compared, ComparisonFormat.JSON)))


@pytest.mark.parametrize("width", WIDTHS)
def test_real_runs_in_a_list(printed, width):
    checked(HERE / f"runs-{width}.txt", printed(width, runs))


def test_real_runs_in_a_list_in_json(printed):
    checked(HERE / "runs.json", steady(printed(80, runs, as_json=True)))


@pytest.mark.parametrize("width", WIDTHS)
def test_one_figure_over_real_runs(printed, width):
    checked(HERE / f"trend-{width}.txt", printed(width, trend, FIGURE))


def test_one_figure_over_real_runs_in_json(printed):
    checked(HERE / "trend.json", steady(printed(80, trend, FIGURE, as_json=True)))


# --- as many runs as a verdict takes ---------------------------------------------------------


def slower(report: Report, by: float) -> Report:
    """The same run, had its replicas taken `by` times as long."""

    def longer(span: Span | None) -> Span | None:
        if span is None or span.value is None or span.hi is None:
            return span
        return Span(span.value * by, span.lo * by, span.hi * by)

    deployments = {
        key: msgspec.structs.replace(
            one,
            steps=tuple(
                msgspec.structs.replace(step, total_s=longer(step.total_s)) for step in one.steps
            ),
        )
        for key, one in report.deployments.items()
    }
    return msgspec.structs.replace(report, deployments=deployments)


@pytest.fixture
def five():
    """Five runs like `demo` against five like it that took 1.5 times as long, 1 % from run to run."""
    real = analysed("demo").report
    sides = (("base", 1.0), ("candidate", 1.5))
    made = [
        {f"runs/{side}-{n}": slower(real, by * 1.01**n) for n in range(5)} for side, by in sides
    ]
    return compare_runs(*made)


@pytest.mark.parametrize("width", WIDTHS)
def test_five_runs_a_side_on_a_terminal(five, width, tmp_path):
    file = tmp_path / "out"
    with file.open("w", encoding="utf-8") as out:
        print_comparison(Console(file=out, width=width, color_system=None), five)

    checked(HERE / f"five-{width}.txt", file.read_bytes())


def test_five_runs_a_side_in_markdown(five):
    checked(HERE / "five.md", render_markdown_comparison(five))


def test_five_runs_a_side_in_json(five):
    checked(HERE / "five.json", steady(render_json_comparison(five)))
