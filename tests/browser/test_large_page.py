"""A run with far more than a page can show still makes a page that opens, and says what it left out."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from reports.analysis.analyse import analyse
from reports.model.causes import Evidence, FailureReport, Finding
from reports.model.intervals import Span
from reports.render.html.report_page import render_html
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Poll, Transition
from scalelag.record.run_dir import RecordedRun, load_run

STORED = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"
REPLICAS, LOOKS, REQUESTS, NAMES, STEPS = 1500, 20_000, 300_000, 1000, 3000
HOURS_S = 4 * 3600.0
SIX_MB = 6_000_000


def crowded() -> RecordedRun:
    """The demo run with other rows: four hours, a change at every look, more replicas than bars."""
    run = load_run(STORED)
    zero_s = run.info.zero_s
    looks_s = zero_s + np.linspace(0.1, HOURS_S, LOOKS)
    polls = tuple(
        Poll(
            at_s - 0.01,
            at_s,
            200,
            {KEY: DeploymentPoll({"RUNNING": 50 + i % 40, "STARTING": i % 3}, 90)},
        )
        for i, at_s in enumerate(map(float, looks_s))
    )
    begun_s = zero_s + np.linspace(1.0, HOURS_S - 100.0, REPLICAS)
    transitions = tuple(
        row for i, at_s in enumerate(map(float, begun_s)) for row in life(f"replica{i:05d}", at_s)
    )
    return msgspec.structs.replace(
        run,
        info=msgspec.structs.replace(run.info, watched_until_s=zero_s + HOURS_S, edges=()),
        polls=polls,
        transitions=transitions,
        events=(),
        requests=requests(zero_s),
    )


def life(replica: str, at_s: float) -> list[Transition]:
    states = (None, "STARTING", "RUNNING", "STOPPING", None)
    return [
        Transition(
            deployment=KEY,
            replica=replica,
            hi_s=at_s + 10 * i,
            lo_s=at_s + 10 * i - 0.2,
            from_state=states[i],
            to_state=states[i + 1],
            node="4be1c2d3",
        )
        for i in range(4)
    ]


def requests(zero_s: float) -> RequestColumns:
    random = np.random.default_rng(1)
    return RequestColumns(
        intended_s=np.sort(zero_s + random.uniform(0, HOURS_S, REQUESTS)),
        send_lag_s=np.zeros(REQUESTS, np.float32),
        latency_s=random.exponential(0.1, REQUESTS).astype(np.float32),
        status=np.full(REQUESTS, 200, np.uint16),
        name=(np.arange(REQUESTS) % NAMES).astype(np.int32),
        error=np.where(np.arange(REQUESTS) % 50 == 0, np.arange(REQUESTS) % 80, -1).astype(
            np.int32
        ),
        worker=np.zeros(REQUESTS, np.uint16),
        names=tuple(f"/v1/models/{i}/" + "x" * 60 for i in range(NAMES)),
        errors=tuple(
            f"HTTP 500 {i} " + "Traceback (most recent call last) " * 20 for i in range(80)
        ),
    )


@pytest.fixture(scope="module")
def crowded_page(tmp_path_factory):
    run = crowded()
    analysis = analyse(run)
    report = analysis.report
    (deployment,) = report.deployments.values()
    finding = Finding(
        "resources", (Evidence("it waited " * 50, 1.0, "4be1", "raw " * 900),) * 30, "more"
    )
    steps = tuple(
        msgspec.structs.replace(
            deployment.steps[1 + i % 2],
            index=i,
            at_s=i * HOURS_S / STEPS,
            total_s=Span(9.0, 8.9, 9.1) if i % 2 else None,
            evidence=(Evidence("nothing that was recorded explains it"),) if i % 2 else (),
            findings=(),
        )
        for i in range(STEPS)
    )
    load_steps = tuple(
        msgspec.structs.replace(report.load.steps[i % 3], index=i, at_s=i * HOURS_S / STEPS)
        for i in range(STEPS)
    )
    report = msgspec.structs.replace(
        report,
        deployments={KEY: msgspec.structs.replace(deployment, steps=steps)},
        load=msgspec.structs.replace(report.load, steps=load_steps),
        failures=tuple(
            FailureReport(i, 0.0, 1.0, 3, {"x": 3}, None, (finding,)) for i in range(200)
        ),
        warnings=tuple(f"{i} " + "something to know " * 10 for i in range(2000)),
    )
    path = tmp_path_factory.mktemp("crowded") / "report.html"
    path.write_bytes(render_html(msgspec.structs.replace(analysis, report=report)))
    return path


def test_it_is_under_six_megabytes(crowded_page):
    assert crowded_page.stat().st_size < SIX_MB


@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_and_says_what_was_left_out(opened, crowded_page, width):
    found = opened(crowded_page, width)

    text = " ".join(found.page.locator("main").inner_text().split())
    assert found.complaints == []
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    assert "load and latency are drawn in bins of 30 s" in text
    assert f"{KEY}: of its replica counts only the extremes are drawn" in text
    assert f"{KEY}: 900 of 1,500 replicas are drawn" in text
    assert "and 900 other names (" in text
    assert "and 1,640 more: see report.json" in text
    assert "and 1,900 more: see report.json" in text
