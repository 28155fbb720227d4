"""The top of a page: the verdict, what was run, the gates, and the figures that come first."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from reports.model.intervals import Stat
from reports.model.load import LoadReport
from reports.model.report import GateResult, ProbeReport, Report, RunSummary
from reports.render.text import (
    NOT_MEASURED,
    count,
    gate_figure,
    gate_subject,
    milliseconds,
    percent,
    sanitized,
    seconds,
)

_MOST_SHOWN = 4


class GateLine(msgspec.Struct, frozen=True):
    """A gate with its verdict, what was measured, and of what, or why not."""

    verdict: str
    expr: str
    measured: str
    of: str


class Tile(msgspec.Struct, frozen=True):
    """A figure that comes first; `of` is text from outside, empty for the whole run."""

    name: str
    figure: str
    unit: str
    detail: str
    of: str = ""


class Fact(msgspec.Struct, frozen=True):
    """One line about the run."""

    name: str
    text: str


def gate_lines(gates: tuple[GateResult, ...]) -> list[GateLine]:
    """The gates in their order."""
    return [
        GateLine(
            verdict=gate.verdict,
            expr=sanitized(gate.expr),
            measured=gate_figure(gate),
            of=gate_subject(gate),
        )
        for gate in gates
    ]


def facts(report: Report) -> list[Fact]:
    """What was run, against what, and how well it was watched."""
    run = report.run
    return [
        Fact("Started", f"{datetime.fromtimestamp(run.started_s, UTC):%Y-%m-%d %H:%M:%S} UTC"),
        Fact("Watched", f"{run.duration_s:,.0f} s, with load for {run.load_s:,.0f} s"),
        Fact("Plan", _plan(run)),
        Fact(
            "Target",
            f"Serve {'on an embedded cluster' if run.embedded else 'at'} {sanitized(run.host)}",
        ),
        Fact("Requests", _requests(report.load)),
        Fact("Probe", _probe(report.probe)),
        Fact("Versions", _versions(run)),
    ]


def _plan(run: RunSummary) -> str:
    repeated = f", {run.repeat} times" if run.repeat > 1 else ""
    loop = "closed loop" if run.unit == "users" else f"open loop, {run.arrivals} arrivals"
    return sanitized(f"{run.steps}{repeated} ({loop}, seed {run.seed})")


def _requests(load: LoadReport) -> str:
    late = "" if load.on_time_ratio is None else f"; {percent(load.on_time_ratio)} sent on time"
    return f"{load.planned:,} planned, {load.failed:,} failed, {load.not_sent:,} not sent{late}"


def _probe(probe: ProbeReport) -> str:
    often = f"{1 / probe.interval_s:.1f} looks a second" if probe.interval_s else "no interval"
    blind = f" ({probe.gap_s:.1f} s)" if probe.gaps else ""
    share = probe.observer_share
    cost = (
        "its cost was not measured"
        if share is None
        else f"at most {percent(share)} of the controller's time"
    )
    return f"{count(probe.polls, 'look')}, {often}, {count(probe.gaps, 'gap')}{blind}, {cost}"


def _versions(run: RunSummary) -> str:
    known = run.versions
    return sanitized(
        f"scalelag {known.scalelag}, Ray {known.ray or 'unknown'}, Locust {known.locust}, "
        f"Python {known.python}"
    )


def tiles(report: Report) -> list[Tile]:
    """The slowest scaling of the deployments that scaled, and what the users had."""
    scaled = [
        (sanitized(key), name, stat, steps)
        for key, deployment in report.deployments.items()
        for name, stat, steps in (
            ("Slowest scale-up", deployment.scale_up.total_s, deployment.scale_up.steps),
            ("Slowest scale-down", deployment.scale_down.total_s, deployment.scale_down.steps),
        )
        if stat is not None
    ]
    return [*(_scaling(*one) for one in scaled[:_MOST_SHOWN]), *_load_tiles(report.load)]


def _scaling(key: str, name: str, stat: Stat, steps: int) -> Tile:
    median = f"median {seconds(stat.p50)} s of {count(steps, 'step')}" if steps > 1 else "one step"
    return Tile(name, str(seconds(stat.max)), "s", median, key)


def _load_tiles(load: LoadReport) -> Iterator[Tile]:
    yield Tile(
        "Latency p99",
        milliseconds(load.latency_p99_ms),
        "ms",
        f"median {milliseconds(load.latency_p50_ms)}, slowest {milliseconds(load.latency_max_ms)} ms",
    )
    ratio = load.error_ratio
    yield Tile(
        "Failed or not sent",
        f"{load.failed + load.not_sent:,}",
        "",
        NOT_MEASURED if ratio is None else f"{percent(ratio)} of {count(load.planned, 'request')}",
    )
