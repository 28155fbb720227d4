"""Summary of a page: the tiles at its top, and the facts about the run at its end."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from reports.model.charts import RunOrigin
from reports.model.intervals import Stat
from reports.model.load import LoadReport
from reports.model.report import ProbeReport, Report, RunSummary
from reports.render.tables.controller import controller_words, nodes_words
from reports.render.text import NOT_MEASURED, milliseconds, percent, seconds, watched_words
from scalelag.foreign import sanitized
from scalelag.wording import count

_MOST_SHOWN = 4


class Tile(msgspec.Struct, frozen=True):
    """A figure of the summary; `of` is text from outside, empty for the whole run."""

    name: str
    figure: str
    unit: str
    detail: str
    of: str = ""


class Fact(msgspec.Struct, frozen=True):
    """One line about the run."""

    name: str
    text: str


def facts(report: Report, origin: RunOrigin, record: str) -> list[Fact]:
    """The run, its target, its requests, and how well it was watched; `record` is its directory."""
    run = report.run
    found = [
        Fact("Started", f"{datetime.fromtimestamp(run.started_s, UTC):%Y-%m-%d %H:%M:%S} UTC"),
        Fact("Watched", f"{run.duration_s:,.0f} s, with load for {run.load_s:,.0f} s"),
        Fact("Plan", _plan(run)),
        Fact(
            "Target",
            f"Serve {'on an embedded cluster' if run.embedded else 'at'} {sanitized(run.host)}",
        ),
        Fact("Requests", _requests(report.load)),
        Fact("Request", " ".join(filter(None, (origin.method, origin.path)))),
        Fact("Locustfile", origin.locustfile or ""),
        Fact("User classes", ", ".join(origin.user_classes)),
        Fact("Probe", _probe(report.probe)),
        Fact("Controller", controller_words(report.controller)),
        Fact("Nodes", nodes_words(report.nodes)),
        Fact("Versions", _versions(run)),
        Fact("Directory", record),
    ]
    return [Fact(fact.name, sanitized(fact.text)) for fact in found if fact.text]


def _plan(run: RunSummary) -> str:
    repeated = f", {run.repeat} times" if run.repeat > 1 else ""
    loop = "closed loop" if run.unit == "users" else f"open loop, {run.arrivals} arrivals"
    return sanitized(f"{run.steps}{repeated} ({loop}, seed {run.seed})")


def _requests(load: LoadReport) -> str:
    late = "" if load.on_time_ratio is None else f"; {percent(load.on_time_ratio)} sent on time"
    return f"{load.planned:,} planned, {load.failed:,} failed, {load.not_sent:,} not sent{late}"


def _probe(probe: ProbeReport) -> str:
    often = f"{1 / probe.interval_s:.1f} polls a second" if probe.interval_s else "no interval"
    share = probe.observer_share
    cost = (
        "its cost was not measured"
        if share is None
        else f"at most {percent(share)} of the controller's time"
    )
    return f"{count(probe.polls, 'poll')}, {often}, {watched_words(probe)}, {cost}"


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
