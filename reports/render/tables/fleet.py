"""Table and sentences of replicas for days of traffic."""

from collections.abc import Iterator

from reports.model.fleet import FleetHour, FleetReport
from reports.render.tables.table import Column, Table
from scalelag.foreign import sanitized
from scalelag.wording import count

_LEAST_SHOWN = 0.005


def fleet_headline(report: FleetReport) -> str:
    """The traffic in one line."""
    return (
        f"Replicas for {_days(report)} of {sanitized(report.trace)}, at "
        f"{report.capacity_rps:g} requests/s a replica"
    )


def fleet_sentences(report: FleetReport) -> Iterator[str]:
    """The sums, and what they rest on."""
    yield (
        f"{report.replica_hours:,.1f} replica-hours, {_beside_fixed(report)} the "
        f"{report.steady_replica_hours:,.1f} of a fixed number that is enough at the peak; too few "
        f"replicas for {report.short_s / 60:,.0f} minutes ({report.short_replica_hours:,.1f} "
        f"replica-hours short); the target turned {count(report.reversals, 'time')}."
    ).replace("%", " %")
    settings = ", ".join(f"{sanitized(k)} {sanitized(str(v))}" for k, v in report.settings.items())
    yield (
        f"A request takes {report.service_s:.3g} s, a replica {report.start_s:.3g} s to start. "
        f"Settings: {settings}. Coarse: in steps of {report.turn_s:g} s."
    )


def _beside_fixed(report: FleetReport) -> str:
    """The sum beside that of a fixed number: `16% less than`."""
    steady = report.steady_replica_hours
    more = report.replica_hours / steady - 1 if steady else 0.0
    if abs(more) < _LEAST_SHOWN:
        return "as many as"
    return f"{abs(more):.0%} {'more' if more > 0 else 'less'} than"


def _days(report: FleetReport) -> str:
    return "1 day" if report.days == 1 else f"{report.days:g} days"


def fleet_table(report: FleetReport) -> Table:
    """Each hour of the day, summed over all days."""
    columns = (
        Column("hour", "words", key=True),
        Column("mean", group="requests/s", alone="rps"),
        Column("peak", group="requests/s", alone="peak rps"),
        Column("mean", group="replicas", alone="replicas"),
        Column("peak", group="replicas", alone="most replicas"),
        Column("hours", group="replicas", alone="replica-hours"),
        Column("min", group="too few", alone="short min", part=1),
        Column("hours", group="too few", alone="short replica-hours", part=1),
        Column("waiting", alone="most waiting", part=1),
    )
    rows = tuple(_row(one) for one in report.hours)
    return Table(f"Hour of day, over {_days(report)}", columns, rows)


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
