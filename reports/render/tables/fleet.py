"""Table and sentences of replicas for days of traffic."""

from collections.abc import Iterator

from reports.model.fleet import FleetHour, FleetReport
from reports.render.tables.table import Column, Table
from scalelag.foreign import sanitized
from scalelag.wording import count


def fleet_headline(report: FleetReport) -> str:
    """The traffic in one line."""
    return (
        f"Replicas for {report.days:g} days of {sanitized(report.trace)}, at "
        f"{report.capacity_rps:g} requests/s a replica"
    )


def fleet_sentences(report: FleetReport) -> Iterator[str]:
    """The sums, and what they rest on."""
    saved = (
        1 - report.replica_hours / report.steady_replica_hours if report.steady_replica_hours else 0
    )
    yield (
        f"{report.replica_hours:,.1f} replica-hours, {saved:.0%} less than the "
        f"{report.steady_replica_hours:,.1f} of a fixed number that is enough at the peak; too few "
        f"replicas for {report.short_s / 60:,.0f} minutes ({report.short_replica_hours:,.1f} "
        f"replica-hours short); the target turned {count(report.reversals, 'time')}."
    ).replace("%", " %")
    settings = ", ".join(f"{sanitized(k)} {sanitized(str(v))}" for k, v in report.settings.items())
    yield (
        f"A request takes {report.service_s:.3g} s, a replica {report.start_s:.3g} s to start. "
        f"Settings: {settings}. Coarse: in steps of {report.turn_s:g} s."
    )


def fleet_table(report: FleetReport) -> Table:
    """Each hour of the day, summed over all days."""
    columns = (
        Column("hour", "words", key=True),
        Column("rps"),
        Column("peak rps"),
        Column("replicas"),
        Column("peak"),
        Column("replica-hours"),
        Column("short min"),
        Column("short replica-hours"),
        Column("most waiting"),
    )
    rows = tuple(_row(one) for one in report.hours)
    return Table(f"Hour of day, over {report.days:g} days", columns, rows)


def _row(one: FleetHour) -> tuple[str, ...]:
    return (
        f"{one.hour:02d}",
        f"{one.mean_rps:,.1f}",
        f"{one.peak_rps:,.1f}",
        f"{one.mean_replicas:.1f}",
        str(one.peak_replicas),
        f"{one.replica_hours:,.1f}",
        f"{one.short_s / 60:,.1f}",
        f"{one.short_replica_hours:,.2f}",
        f"{one.waiting_most:,.0f}",
    )
