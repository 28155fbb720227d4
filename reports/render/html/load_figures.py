"""Charts of the load: requests offered and completed, and their latency."""

from collections.abc import Iterable
from typing import Any

from reports.model.charts import Charts, LoadBins
from reports.model.report import Report
from reports.render.html.axes import axis, chart_marks, marked_steps, time_plot
from reports.render.html.figure import Figure, Key, color, rounded
from reports.render.tables.table import Column, Table
from reports.render.text import level, milliseconds, rate
from scalelag.wording import count

_HEIGHT_PX = 220
_MOST_STEPS_TOLD = 6
_WIDE = 5.0
_QUANTILES = (("latency_p50_ms", "p50"), ("latency_p95_ms", "p95"), ("latency_p99_ms", "p99"))


def load_figure(report: Report, charts: Charts) -> Figure:
    """Requests per second: offered, completed, failed."""
    bins = charts.load
    has_failed = any(bins.failed_rps)
    marked = chart_marks(charts, marked_steps(report))
    traces = [
        _rate(bins, "offered_rps", "offered", fill="tozeroy", fillcolor=color("offered-fill")),
        _rate(bins, "completed_rps", "completed"),
    ]
    keys = [
        Key("offered", "offered", "area"),
        Key("completed", "completed, by the moment of the answer", "line"),
    ]
    if has_failed:
        traces.append(_rate(bins, "failed_rps", "failed"))
        keys.append(Key("failed", "failed or not sent", "line"))
    return Figure(
        id="load",
        title="Load",
        unit="requests per second",
        sentence=_load_sentence(report, bins),
        height_px=_HEIGHT_PX,
        plot=time_plot(traces, _HEIGHT_PX, charts.end_s, axis(nticks=5), marked),
        keys=tuple(keys),
        linked=True,
    )


def latency_figure(report: Report, charts: Charts) -> Figure:
    """Quantiles of latency from the intended start, in milliseconds."""
    bins = charts.load
    wide = is_wide(_latencies_ms(bins))
    marked = chart_marks(charts, marked_steps(report))
    middles_s = [at_s + bins.bin_s / 2 for at_s in bins.from_s]
    traces = [_quantile(middles_s, bins, field, name) for field, name in _QUANTILES]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "slowest",
            "x": rounded(middles_s),
            "y": rounded(bins.latency_max_ms, 1),
            "marker": {"color": color("slowest"), "size": 4, "symbol": "circle-open"},
            "hovertemplate": "%{y:,.0f} ms",
        }
    )
    keys = [Key(name, name, "line") for _, name in _QUANTILES]
    return Figure(
        id="latency",
        title="Latency",
        unit=latency_unit(wide=wide),
        sentence=_latency_sentence(report, bins),
        height_px=_HEIGHT_PX,
        plot=time_plot(traces, _HEIGHT_PX, charts.end_s, latency_axis(wide=wide), marked),
        keys=(*keys, Key("slowest", "slowest request", "ring")),
        table=_table(bins),
        linked=True,
    )


def _latencies_ms(bins: LoadBins) -> Iterable[float | None]:
    return (*bins.latency_p50_ms, *bins.latency_max_ms)


def is_wide(latencies_ms: Iterable[float | None]) -> bool:
    """Return True if only a logarithmic axis shows all of these latencies."""
    known = [value for value in latencies_ms if value]
    return bool(known) and max(known) > _WIDE * min(known)


def latency_axis(*, wide: bool) -> dict[str, Any]:
    """An axis of milliseconds, logarithmic if they are wide apart."""
    if wide:
        return axis(type="log", rangemode="normal", dtick="D2", tickformat=",")
    return axis(nticks=5, tickformat=",")


def latency_unit(*, wide: bool) -> str:
    """Unit of the axis of latency."""
    return f"milliseconds from the intended start{', logarithmic' if wide else ''}"


def _rate(bins: LoadBins, field: str, name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A stair of rates, the last one drawn to its end."""
    values = getattr(bins, field)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": rounded([*bins.from_s, bins.from_s[-1] + bins.bin_s], 1),
        "y": rounded([*values, values[-1]], 2),
        "line": {"color": color(name), "width": 1.8, "shape": "hv"},
        "hovertemplate": "%{y:,.1f}/s",
        **more,
    }


def _quantile(middles_s: list[float], bins: LoadBins, field: str, name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(middles_s) == 1 else "lines",
        "name": name,
        "x": rounded(middles_s),
        "y": rounded(getattr(bins, field), 1),
        "line": {"color": color(name), "width": 1.8},
        "connectgaps": False,
        "hovertemplate": "%{y:,.0f} ms",
    }


def _load_sentence(report: Report, bins: LoadBins) -> str:
    load = report.load
    steps = [step for step in load.steps if step.to_level != step.from_level]
    told = ", ".join(
        f"from {level(step.from_level)} to {level(step.to_level)} {step.unit} at {step.at_s:.1f} s"
        for step in steps[:_MOST_STEPS_TOLD]
    )
    more = len(steps) - _MOST_STEPS_TOLD
    rest = f" and {count(more, 'more step')}" if more > 0 else ""
    missed = load.failed + load.not_sent
    changes = f"The load goes {told}{rest}." if told else "There was no load step."
    return (
        f"{changes} Up to {rate(max(bins.offered_rps))} requests "
        f"per second were offered and up to {rate(max(bins.completed_rps))} completed; "
        f"{count(missed, 'request')} of {load.planned:,} failed or {'was' if missed == 1 else 'were'}"
        " not sent."
    )


def _latency_sentence(report: Report, bins: LoadBins) -> str:
    known = [
        (value, at_s)
        for value, at_s in zip(bins.latency_max_ms, bins.from_s, strict=True)
        if value is not None
    ]
    if not known:
        return "No request was sent, so no latency was measured."
    slowest_ms, at_s = max(known)
    return (
        f"Over the whole run the median is {milliseconds(report.load.latency_p50_ms)} ms and p99 "
        f"{milliseconds(report.load.latency_p99_ms)} ms; the slowest request took "
        f"{milliseconds(slowest_ms)} ms and was due at about {at_s:.0f} s."
    )


def _table(bins: LoadBins) -> Table:
    columns = (
        Column("from s"),
        Column("offered", group="requests/s"),
        Column("completed", group="requests/s"),
        Column("failed", group="requests/s"),
        Column("p50", group="latency ms"),
        Column("p95", group="latency ms"),
        Column("p99", group="latency ms"),
        Column("max", group="latency ms"),
    )
    rows = zip(
        (f"{at_s:g}" for at_s in bins.from_s),
        map(rate, bins.offered_rps),
        map(rate, bins.completed_rps),
        map(rate, bins.failed_rps),
        map(milliseconds, bins.latency_p50_ms),
        map(milliseconds, bins.latency_p95_ms),
        map(milliseconds, bins.latency_p99_ms),
        map(milliseconds, bins.latency_max_ms),
        strict=True,
    )
    return Table(f"Load and latency in bins of {bins.bin_s:g} s", columns, tuple(rows))
