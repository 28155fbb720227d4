"""The tables of events: what was done, and how long until it was whole again."""

from collections.abc import Iterator, Sequence

from reports.model.events import EventEffect, EventReport, StartsReport
from reports.model.intervals import Stat
from reports.model.load import NO_BREACH
from reports.render.tables.table import Cell, Column, Table, rest_of
from reports.render.text import NOT_MEASURED, seconds
from scalelag.foreign import sanitized

_MOST = 40
_PHASES = ("create_s", "allocate_s", "initialize_s", "mark_running_s", "route_s", "total_s")


def event_table(events: Sequence[EventReport]) -> Table | None:
    """Events by time; None without any."""
    if not events:
        return None
    columns = (
        Column("event", key=True),
        Column("at s"),
        Column("what", "foreign"),
        Column("detect s"),
        Column("healed s"),
        Column("updated s"),
        Column("lost"),
        Column("RUNNING", "words", room="below"),
        Column("failed"),
        Column("slowest ms"),
        Column("recovered s"),
        Column("remark", "foreign", room="listed"),
    )
    rows = tuple(_row(one) for one in events[:_MOST])
    note = rest_of(len(events), _MOST)
    return Table("Events: steps that are not load", columns, rows, note)


def _row(one: EventReport) -> tuple[Cell, ...]:
    effects = list(one.deployments.values())
    no_breach = one.recovered_s is None and one.recovered_reason == NO_BREACH
    return (
        f"{one.index}",
        f"{one.at_s:.1f}",
        sanitized(one.what),
        seconds(one.detect_s),
        seconds(one.healed_s),
        seconds(one.updated_s),
        f"{sum(len(effect.lost) for effect in effects)}",
        "; ".join(_running(effect) for effect in effects) or NOT_MEASURED,
        f"{one.failed:,}",
        NOT_MEASURED if one.slowest_ms is None else f"{one.slowest_ms:,.0f}",
        NO_BREACH if no_breach else seconds(one.recovered_s),
        sanitized("; ".join(dict.fromkeys(_remarks(one)))),
    )


def _running(effect: EventEffect) -> str:
    if effect.least_running is None:
        return NOT_MEASURED
    return f"{effect.least_running} to {effect.most_running} of {effect.target}"


def _remarks(one: EventReport) -> Iterator[str]:
    if one.error:
        yield f"not done: {one.error}"
    elif one.reason:
        yield one.reason
    if one.note:
        yield one.note


def starts_table(events: Sequence[EventReport]) -> Table | None:
    """Start-up of the replicas that came after events: p50, p95 and max of each phase."""
    found = [
        (one, key, effect.starts)
        for one in events
        for key, effect in one.deployments.items()
        if effect.starts is not None
    ]
    if not found:
        return None
    columns = (
        Column("event", key=True),
        Column("deployment", "foreign"),
        Column("replicas"),
        Column("per s"),
        *(Column(name.removesuffix("_s")) for name in _PHASES),
    )
    rows = tuple(_starts_row(*one) for one in found[:_MOST])
    note = rest_of(len(found), _MOST)
    return Table("Replicas that came after events: p50 / p95 / max in seconds", columns, rows, note)


def _starts_row(one: EventReport, key: str, starts: StartsReport) -> tuple[Cell, ...]:
    rate = starts.replicas_per_s
    return (
        f"{one.index}",
        sanitized(key),
        f"{starts.replicas}",
        NOT_MEASURED if rate is None else f"{rate:.2f}",
        *(_quantiles(getattr(starts, name)) for name in _PHASES),
    )


def _quantiles(stat: Stat | None) -> str:
    if stat is None:
        return NOT_MEASURED
    values = (stat.p50.value, stat.p95.value, stat.max.value)
    return " / ".join(NOT_MEASURED if value is None else f"{value:.2f}" for value in values)
