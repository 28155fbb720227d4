"""A mix in the record and in the report: by name, by application, in gates, trends and comparisons."""

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.analysis.analyse import analyse
from reports.analysis.comparing.history import trend
from reports.analysis.comparing.run_differences import OptionSet, run_differences
from reports.analysis.comparing.samples import main_figures, samples_of_runs, samples_of_steps
from reports.analysis.gates import parse_gates
from reports.analysis.metrics import quoted
from reports.analysis.seen.routing import apps_of_names, routed
from reports.model.report import Report
from reports.render.html.report_page import render_html
from reports.render.json_report import render_json
from reports.render.markdown import render_markdown
from scalelag.options.run_options import run_options
from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.leader.workers.losses import write_lost
from scalelag.plugin.leader.workers.state import EXACT, ClockMeter, RunWorker
from scalelag.plugin.worker.recorder import RequestRecorder
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.clock import Clock
from scalelag.record.requests_file import RequestWriter
from scalelag.record.requests_reader import read_requests
from scalelag.record.run_info import RequestInfo
from tests.support.stored_runs import recorded

ODD = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20
).filter(lambda name: name == name.strip() and name.isprintable())


PLAIN = "constant GET /"


def request(name, path="/", weight=1.0, sha256="1f"):
    return RequestInfo(name, "GET", path, (weight,), "constant", sha256)


def renamed(run, *names):
    """The stored run, whose requests take turns through `names`."""
    rows = run.requests
    name = (np.arange(rows.count) % len(names)).astype(np.int32)
    return msgspec.structs.replace(
        run, requests=msgspec.structs.replace(rows, name=name, names=names)
    )


def with_info(run, **fields):
    return msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, **fields))


def with_applications(run, **prefixes):
    """The stored run, beside whose application there are others at `prefixes`."""
    others = {name: ApplicationInfo((), prefix) for name, prefix in prefixes.items()}
    target = msgspec.structs.replace(run.info.target, applications=others)
    return with_info(run, target=target)


@pytest.fixture(scope="module")
def demo():
    return recorded("demo")


def test_each_name_has_its_rates_and_its_share_of_failed_requests(demo):
    report = analyse(renamed(demo, "a", "b", "c", "a b")).report

    whole = report.load
    assert sum(part.planned for part in whole.names.values()) == whole.planned
    for part in whole.names.values():
        assert part.error_ratio == (part.failed + part.not_sent) / part.planned
    load_s = sum(step.hold_s for step in whole.steps)
    rates = [part.completed_rps for part in whole.names.values()]
    assert sum(rates) == pytest.approx(whole.completed / load_s)
    assert whole.applications == {}


def test_requests_of_a_mix_belong_to_applications_by_their_paths(demo):
    run = with_applications(
        renamed(demo, "ask", "list", "GET /chat/x", "rest"), chat="/chat", all="/"
    )
    run = with_info(run, requests=(request("ask", "/chat/{{ id }}?a=1"), request("list", "/chats")))

    names = ("ask", "list", "GET /chat/x", "rest")
    assert apps_of_names(names, run.info) == ["chat", "all", "chat", "all"]
    load = analyse(run).report.load
    assert {app: part.planned for app, part in load.applications.items()} == {
        "chat": load.names["ask"].planned + load.names["GET /chat/x"].planned,
        "all": load.names["list"].planned + load.names["rest"].planned,
    }
    chat = routed(run.requests, run.info, "chat")
    assert not isinstance(chat, str)
    assert chat.count == load.applications["chat"].planned


def in_halves(run, first, second):
    """The stored run, whose requests have one name up to the middle of their steps, then another."""
    rows = run.requests
    edge_s = run.info.zero_s + 15.0
    name = (rows.intended_s >= edge_s).astype(np.int32)
    return msgspec.structs.replace(
        run, requests=msgspec.structs.replace(rows, name=name, names=(first, second))
    )


def test_each_step_has_the_figures_of_its_names_and_adds_up_to_the_run(demo):
    run = with_applications(renamed(demo, "GET /a", "GET /b/1", "GET /b/2"), a="/a", b="/b")
    load = analyse(run).report.load
    rows = run.requests

    for step in load.steps:
        begin_s = run.info.zero_s + step.at_s
        within = (rows.intended_s >= begin_s) & (rows.intended_s < begin_s + step.hold_s)
        assert list(step.names) == list(load.names)
        assert sum(part.planned for part in step.names.values()) == step.planned
        assert sum(part.completed_rps for part in step.names.values()) == pytest.approx(
            step.completed_rps
        )
        assert step.applications["b"].planned == sum(
            step.names[name].planned for name in ("GET /b/1", "GET /b/2")
        )
        for code, name in enumerate(rows.names):
            latency_s = rows.latency_s[within & (rows.name == code)]
            assert step.names[name].latency_p95_ms == pytest.approx(
                1000 * float(np.quantile(latency_s, 0.95))
            )
    for name, part in load.names.items():
        assert sum(step.names[name].planned for step in load.steps) == part.planned


def test_gates_name_a_request_of_one_step_or_of_all_that_have_it(demo):
    run = in_halves(demo, "early", "late one")
    steps = {step.index: set(step.names) for step in analyse(run).report.load.steps}
    assert {"early"} in steps.values()
    only = next(index for index, names in steps.items() if names == {"early"})
    wanted = (
        f"requests.steps.{only}.names.early.latency_p99_ms >= 0",
        f'requests.steps.{only}.names."late one".latency_p99_ms >= 0',
        'load.steps.*.names."late one".failed <= 0',
        "requests.steps.*.names.*.completed_rps >= 0",
    )

    report = analyse(run, parse_gates(wanted)).report

    verdicts = {gate.expr: gate.verdict for gate in report.gates}
    assert [verdicts[expr] for expr in wanted] == ["pass", "inconclusive", "pass", "pass"]


def test_one_name_alone_is_not_repeated_in_each_step(demo):
    load = analyse(demo).report.load

    assert len(load.names) == 1
    assert {len(step.names) for step in load.steps} == {0}


def test_names_without_number_are_in_the_steps_up_to_a_bound(demo):
    load = analyse(renamed(demo, *(f"/{number}" for number in range(150)))).report.load

    assert len(load.names) == 150
    assert {len(step.names) for step in load.steps} <= set(range(101))
    assert set(load.steps[0].names) <= set(list(load.names)[:100])


def test_requests_that_are_for_no_known_application_are_in_none(demo):
    run = with_applications(renamed(demo, "GET /a", "GET /b", "GET /c"), a="/a", b="/b")

    load = analyse(run).report.load

    assert set(load.applications) == {"a", "b"}
    assert sum(part.planned for part in load.applications.values()) < load.planned


def test_one_application_alone_needs_no_figures_of_its_own(demo):
    assert analyse(with_applications(renamed(demo, "GET /a"), a="/a", b="/b")).report.load.names
    assert (
        analyse(with_applications(renamed(demo, "GET /a"), a="/a")).report.load.applications == {}
    )


@settings(max_examples=25, deadline=None)
@given(name=ODD, other=ODD)
@example(name='odd. "n"', other="a:b.c")
@example(name='x": y <= 3', other="\\")
@example(name="N", other="NAME")
@example(name="*", other="**")
@example(name="(others)", other="</script><b>|`*_")
def test_any_name_goes_through_gate_trend_file_and_page(demo, name, other):
    names = dict.fromkeys((name, other, "plain"))
    run = with_applications(
        with_info(
            renamed(demo, *names),
            requests=tuple(request(one, f"/{place}") for place, one in enumerate(names)),
        ),
        **{one: f"/{place}" for place, one in enumerate(names)},
    )
    wanted = [
        f"{kind}.{quoted(one)}.latency_p95_ms >= 0"
        for one in names
        for kind in ("requests.names", "load.applications")
    ]

    report = analyse(run, parse_gates(wanted)).report

    verdicts = {gate.expr: gate.verdict for gate in report.gates}
    assert [verdicts[expr] for expr in wanted] == ["pass"] * len(wanted)
    read = msgspec.json.decode(render_json(report), type=Report)
    assert read.load.names == report.load.names
    assert set(read.load.applications) == set(names)
    for expr in wanted:
        [point] = trend(expr.removesuffix(" >= 0"), {"run": read})
        assert point.span is not None
    figures = samples_of_steps(report)
    assert {f"load.names.{quoted(one)}.latency_p99_ms" for one in names} <= set(figures)


def test_odd_names_on_page_and_in_markdown_are_text(demo):
    run = with_applications(
        with_info(
            renamed(demo, "</script><b>x", "a|b\x1b[31m"),
            requests=(request("</script><b>x", "/a"), request("a|b\x1b[31m", "/b")),
        ),
        **{"<i>app": "/a", "b|": "/b"},
    )
    analysis = analyse(run)

    page = render_html(analysis).decode()
    markdown = render_markdown(analysis.report, "run").decode()

    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert "\x1b" not in page + markdown
    assert "<b>" not in markdown.partition("Requests by name")[2].partition("###")[0]
    for what in ("application", "step and name", "step and application"):
        assert f"Requests by {what}" in page
        assert f"Requests by {what}" in markdown


def test_names_are_compared_run_by_run_and_make_no_verdict(demo):
    one, other = analyse(renamed(demo, "a", "b")).report, analyse(renamed(demo, "a")).report

    samples = samples_of_runs({"one": one, "other": one})

    assert samples["load.names.a.latency_p99_ms"].values["one"].value == pytest.approx(
        one.load.names["a"].latency_p99_ms
    )
    assert not any(".names." in name for name in main_figures(samples))
    assert not any(".names." in name for name in samples_of_steps(other))


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ((request("a"), request("b")), ()),
        ((), (f"mix: a 1 {PLAIN}, b 1 {PLAIN} and nothing",)),
        (
            (request("a", weight=2.0), request("b")),
            (f"mix: a 1 {PLAIN}, b 1 {PLAIN} and a 2 {PLAIN}, b 1 {PLAIN}",),
        ),
        (
            (request("a"), request("b", sha256="2e")),
            ("mix: b and one of that name with other headers, body, data or answer",),
        ),
    ],
)
def test_runs_of_other_mixes_are_told_apart(demo, requests, said):
    infos = [
        msgspec.structs.replace(demo.info, requests=one)
        for one in ((request("a"), request("b")), requests)
    ]

    assert run_differences(infos, OptionSet()) == said


def test_lost_arrivals_of_a_mix_have_the_names_of_their_requests(tmp_path):
    (tmp_path / "mix.toml").write_text(
        '[[request]]\nname = "a"\n[[request]]\nname = "b"\narrivals = "poisson"\nweight = 3\n'
    )
    options = run_options({"steps": "20rps:2s", "requests": str(tmp_path / "mix.toml")})
    path = tmp_path / "requests.arrow"
    collector = RowCollector(RequestWriter(path))
    [(due_s, numbers)] = [
        (np.concatenate([due for due, _ in turns]), np.concatenate([n for _, n in turns]))
        for turns in [list(options.schedule.turns())]
    ]
    recorder = RequestRecorder(Clock())
    for at_s, number in list(zip(due_s.tolist(), numbers.tolist(), strict=True))[::2]:
        recorder.add(
            intended_s=at_s + 1000.0,
            send_lag_s=0.0,
            latency_s=0.01,
            status=200,
            name="ab"[number],
            error=None,
        )
    collector.collect(recorder.take(), 0)
    worker = RunWorker(0, "host", ClockMeter(EXACT))

    write_lost([worker], 1, options, 1000.0, float("inf"), path, collector)

    rows, _ = read_requests(path)
    assert worker.lost_arrivals == due_s.size // 2
    assert rows.count == due_s.size
    assert [rows.names[code] for code in rows.name] == ["ab"[number] for number in numbers]
