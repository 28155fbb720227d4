"""The terminal report, held against the files in expected/, and read for what it must say."""

import io
import json
import re
import sys

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from reports.model.charts import Analysis
from reports.model.formats import Details
from reports.model.load import LoadWorkerReport
from reports.model.report import Report
from reports.render.json_report import render_json
from reports.render.terminal.report import render_terminal
from tests.golden.expected_files import EXPECTED, checked
from tests.golden.rendered import RECORD, rendered
from tests.support.stored_runs import RUNS, analysed

WIDTHS = (80, 120)
SAMPLES = ("busy", "calm", "interrupted", "traced")
COLOR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3\d|4\d|9\d|10\d)(?:;[\d;]*)?m")


def colored(analysis: Analysis, width: int, environ: dict[str, str] | None = None) -> str:
    file = io.StringIO()
    console = Console(
        width=width,
        color_system="truecolor",
        force_terminal=True,
        file=file,
        legacy_windows=False,
        _environ=environ or {},
    )
    render_terminal(analysis, console, RECORD)
    return file.getvalue()


def without(analysis: Analysis, **fields: object) -> Analysis:
    return msgspec.structs.replace(
        analysis, report=msgspec.structs.replace(analysis.report, **fields)
    )


def section(text: str, start: str, end: str) -> str:
    return text[text.index(start) : text.index(end, text.index(start))]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_reads_as_expected(sample, name, width):
    checked(EXPECTED / f"{name}-{width}.txt", rendered(sample(name), width).encode())


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_on_a_real_run_reads_as_expected(name, width):
    checked(EXPECTED / f"{name}-{width}.txt", rendered(analysed(name), width).encode())


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", WIDTHS)
def test_with_colors_off_a_terminal_shows_the_same_without_any(name, width):
    shown = colored(analysed(name), width, {"NO_COLOR": "1"})

    lines = [line.rstrip() for line in Text.from_ansi(shown).plain.splitlines()]
    assert lines == (EXPECTED / f"{name}-{width}.txt").read_text(encoding="utf-8").splitlines()
    assert COLOR.search(colored(analysed(name), width))
    assert not COLOR.search(shown)


def test_every_file_belongs_to_a_test():
    files = {path.name for path in EXPECTED.glob("*.txt")}

    assert files == {f"{name}-{width}.txt" for name in (*SAMPLES, *RUNS) for width in WIDTHS}


@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_wider_than_the_console_or_ends_in_a_blank(sample, name):
    for width in (20, 40, 41, 60, 76, 79, *WIDTHS, 300):
        lines = rendered(sample(name), width).split("\n")

        assert [line for line in lines if cell_len(line) > width or line != line.rstrip()] == []


@pytest.mark.parametrize("width", [40, 60, *WIDTHS])
def test_every_figure_of_a_lag_appears_whole(sample, width):
    analysis = sample("busy")
    steps = [step for d in analysis.report.deployments.values() for step in d.steps]
    spans = [step.total_s for step in steps if step.total_s]
    spans += [phase for step in steps for phase in step.phases if phase.value is not None]

    words = set(rendered(analysis, width).split())

    expected = {f"{span.value:.2f}" for span in spans if span.value is not None}
    expected |= {
        f"±{(s.hi - s.lo) / 2:.2f}" for s in spans if s.hi is not None and s.hi - s.lo >= 0.01
    }
    assert len(expected) > 10
    assert expected - words == set()
    assert "> 30.0" in rendered(analysis, width)


@pytest.mark.parametrize("width", [40, 60, *WIDTHS])
def test_every_figure_of_the_load_appears_whole(sample, width):
    load = sample("busy").report.load
    figures = [
        getattr(part, f"{kind}_ms")
        for part in (*load.steps, load)
        for kind in ("latency_p50", "latency_p95", "latency_p99", "latency_max", "service_p99")
    ]
    figures += [figure for step in load.steps for figure in (step.offered_rps, step.completed_rps)]

    words = set(rendered(sample("busy"), width).split())

    assert {f"{figure:,.1f}" for figure in figures} - words == set()


@pytest.mark.parametrize("width", [40, 60, *WIDTHS])
def test_every_figure_of_streams_appears_whole(sample, width):
    load = sample("busy").report.load
    streams = [part.stream for part in (*load.steps, load) if part.stream]
    figures = [
        getattr(stream, name)
        for stream in streams
        for name in stream.__struct_fields__
        if name not in ("answers", "tokens")
    ]

    words = set(rendered(sample("busy"), width).split())

    expected = {f"{figure:,.1f}" for figure in figures if figure is not None}
    expected |= {f"{count:,}" for stream in streams for count in (stream.answers, stream.tokens)}
    assert len(expected) > 20
    assert expected - words == set()


@pytest.mark.parametrize("width", [40, *WIDTHS])
def test_the_ten_names_of_most_requests_are_shown_and_the_rest_counted(sample, width):
    text = section(rendered(sample("busy"), width), " Requests by name", " Errors, by kind")

    words = text.split()
    assert {"chat", "model-7", "9,000", "7,654.3", "3,330.0"} <= set(words)
    assert "model-8" not in words
    assert "and 2 other names (14 requests): see report.json" in " ".join(words)


def test_one_name_alone_and_no_streams_need_no_table(sample):
    busy = sample("busy")
    names = dict(list(busy.report.load.names.items())[:1])
    load = msgspec.structs.replace(busy.report.load, names=names, stream=None)

    text = rendered(without(busy, load=load), 120)

    assert " Requests by name" not in text
    assert " Streams" not in text


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_with_an_ellipsis(sample, name, width):
    assert "…" not in rendered(sample(name), width)


def test_the_verdict_comes_first_with_the_reasons_right_below(sample):
    lines = rendered(sample("interrupted"), 120).splitlines()

    assert lines[0].startswith("  INVALID  nightly on Ray of unknown version at http://127.0.0.1")
    assert lines[2:4] == [" ! interrupted: Ctrl-C", " ! no request was recorded"]


def test_an_interrupted_run_says_so_even_where_the_reasons_do_not(sample):
    analysis = without(sample("interrupted"), reasons=())

    assert " ! interrupted: Ctrl-C\n" in rendered(analysis, 80)


@pytest.mark.parametrize("verdict", ["pass", "fail", "invalid", "inconclusive"])
def test_each_verdict_is_a_word_and_a_background(sample, verdict):
    analysis = without(sample("calm"), verdict=verdict)

    first = Text.from_ansi(colored(analysis, 120).splitlines()[0])

    assert first.plain.startswith(f"  {verdict.upper()}  ")
    assert any(span.style.bgcolor for span in first.spans if not isinstance(span.style, str))


def test_color_changes_no_character(sample):
    text = Text.from_ansi(colored(sample("busy"), 120)).plain

    assert [line.rstrip() for line in text.splitlines()] == rendered(
        sample("busy"), 120
    ).splitlines()


def test_text_from_outside_is_shown_and_not_obeyed(sample):
    text = rendered(sample("busy"), 120)

    assert "[red]x[/red]<script> on Ray" in text
    assert " no chart for [red]x[/red]<script>/Proxy\ufffd[31m\ufffd\n" in text
    assert "[bold]ConnectionResetError[/bold](104, 'Connection reset by peer')\ufffd[2J" in text
    assert "(answer [b]503[/b])" in text
    assert [char for char in text if char != "\n" and not char.isprintable()] == []


def test_a_name_that_clears_the_screen_cannot(sample):
    assert "\x1b[2J" not in colored(sample("busy"), 120)


def test_an_ascii_console_gets_ascii_of_the_same_widths(sample):
    analysis = sample("busy")

    text = rendered(analysis, 120, encoding="ascii")

    assert [len(line) for line in text.splitlines()] == [
        cell_len(line) for line in rendered(analysis, 120).splitlines()
    ]
    assert "# RUNNING replicas" in text


def test_steps_without_a_lag_say_why(sample):
    text = rendered(sample("busy"), 200, details=Details.ALL)

    assert " 1 up: the probe saw nothing of this deployment during the step\n" in text
    assert " 2 up: target 8 not reached within the hold: 5 RUNNING; allocate: not over" in text
    assert "3 unchanged (the load did not change)" in text
    assert " 4 down: 2.16 s unattributed; stop: not over by the end of the hold\n" in text


def test_a_chart_is_drawn_for_three_deployments_at_most(sample):
    text = rendered(sample("busy"), 120, details=Details.ALL)

    titles = [line for line in text.splitlines() if line.startswith(" Load and replicas: ")]
    assert len(titles) == 3
    assert " no chart for llm/Cache, llm/Guard\n" in text


def test_a_deployment_that_never_scales_has_no_chart(sample):
    text = rendered(sample("busy"), 120, details=Details.ALL)

    assert " Scale lag: llm/Router  (does not scale by itself)\n" in text
    assert "Load and replicas: llm/Router" not in text
    assert "no chart for llm/Router" not in text


def test_chart_shows_each_curve_with_its_own_symbol(sample):
    chart = section(rendered(sample("calm"), 120), "┌", "└")

    assert chart.count("\n") == 12  # of 15 rows, 3 are the axis, its figures and its name
    assert all(symbol in chart for symbol in "░■o")
    assert "40┤" in chart
    assert "├4" in chart


def test_charts_do_not_leak_into_one_another(sample):
    alone = rendered(sample("calm"), 120)

    rendered(sample("busy"), 200)

    assert rendered(sample("calm"), 120) == alone


def test_a_console_too_narrow_for_a_chart_says_so(sample):
    text = rendered(sample("calm"), 40)

    assert " no chart: it needs 41 columns\n" in text
    assert "┌" not in text


def test_without_a_working_plotext_the_report_is_still_printed(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotext", None)

    text = rendered(sample("calm"), 120)

    assert "no chart: " in text
    assert "Record: " in text


def test_several_load_processes_are_told_in_a_line_below_the_table(sample):
    analysis = sample("calm")
    lost = LoadWorkerReport(2, "b", 5, 7, 30.0, 0.0009, 0.0021, lost_at_s=12.3, lost_arrivals=7)
    workers = tuple(LoadWorkerReport(i, "a", 10, 0, 0.0, 0.0004, 0.0) for i in (0, 1))
    load = msgspec.structs.replace(analysis.report.load, workers=(*workers, lost))

    one, three = rendered(analysis, 120), rendered(without(analysis, load=load), 120)

    line = (
        " 3 load processes on 2 machines · their clocks known to ±3.0 ms · 1 lost: see the warnings"
    )
    assert f"{line}\n" in three
    assert "load processes" not in one


def test_gates_show_their_verdict_and_what_was_measured(sample):
    gates = section(rendered(sample("busy"), 120), " Gates", "not measured:").splitlines()

    words = [line.split() for line in gates if line.startswith("  ")]
    assert [line[0] for line in words] == ["PASS", "FAIL", "FAIL", "INCONCLUSIVE", "INCONCLUSIVE"]
    assert words[0][4:] == ["9.31", "[9.16,", "9.46]", "llm/Model"]
    assert words[1][4:] == [">", "30", "default/Sleeper"]
    assert words[2][4:] == ["0.010216", "the", "run"]


def test_errors_beyond_the_most_frequent_are_counted(sample):
    text = rendered(sample("busy"), 120)

    assert " and 2 other kinds (3 requests): see report.json\n" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_record_and_the_command_that_renders_it_again_end_the_report(sample, width):
    text = rendered(sample("calm"), width)

    end = " ".join(text.split()[-5:])
    assert end == f"Record: {RECORD} (scalelag report {RECORD})"


def test_json_is_indented_ends_in_a_newline_and_holds_the_whole_report(sample):
    report = sample("busy").report

    text = render_json(report)

    assert text.endswith(b"}\n")
    assert text.startswith(b'{\n  "schema_version": 1,\n')
    assert msgspec.json.decode(text, type=Report) == report


def test_json_never_holds_a_figure_that_is_not_finite(sample):
    report = sample("calm").report
    load = msgspec.structs.replace(
        report.load, latency_p50_ms=float("nan"), latency_max_ms=float("inf")
    )

    parsed = json.loads(
        render_json(msgspec.structs.replace(report, load=load)), parse_constant=pytest.fail
    )

    assert parsed["load"]["latency_p50_ms"] is None
    assert parsed["load"]["latency_max_ms"] is None
