"""Offered load, RUNNING and target replicas on one time axis, drawn with characters.

plotext 6 keeps one figure and one terminal per process: each chart clears the figure first, and
lifts the limit to the size of the terminal, which need not be that of the console.
"""

import importlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from reports.model.charts import Band, Charts, LoadBins, ReplicaCurve
from reports.render.terminal.layout import INDENT, emit, flow, room
from reports.render.text import level
from scalelag.foreign import sanitized

_MOST_CHARTS = 3
_MOST_LOW_CHARTS = 2
_HEIGHT, _LOW = 15, 9
_LEAST_WIDTH = 40
_OFFERED, _SATURATED, _RUNNING, _TARGET = "░", "▓", "■", "o"
_COLOURS = {_OFFERED: "blue", _SATURATED: "red", _RUNNING: "green", _TARGET: "orange"}
_LEGEND = (
    f"{_OFFERED} offered load (left)",
    f"{_RUNNING} RUNNING replicas (right)",
    f"{_TARGET} target, where it differs (right)",
)
_MARK_HEIGHT = 1.07  # above the load, below the frame
_LOAD_HEADROOM, _REPLICA_HEADROOM = 1.1, 1.25  # unequal, so that the two tops do not coincide

_CHANGED = "▼"
_CHANGED_LEGEND = f"{_CHANGED} change of what was deployed"
_SATURATED_LEGEND = f"{_SATURATED} offered while the target was saturated (left)"

Curve = tuple[list[float], list[float]]


def print_charts(
    console: Console, charts: Charts, shown: Iterable[str], *, is_low: bool = False
) -> None:
    """Print a chart of each of `shown` that scales, in that order, three at most; name the others.

    Low ones have fewer lines, and are two.
    """
    own = charts.deployments
    keys = [key for key in shown if key in own and own[key].curve.times_s]
    if not keys:
        return
    if room(console) < _LEAST_WIDTH:
        _print_remark(console, f"no chart: it needs {_LEAST_WIDTH + INDENT} columns")
        return
    most = _MOST_LOW_CHARTS if is_low else _MOST_CHARTS
    for key in keys[:most]:
        console.print()
        emit(console, Text(f"Load and replicas: {sanitized(key)}", style="bold"))
        legend = (*_LEGEND, _SATURATED_LEGEND) if charts.saturated else _LEGEND
        legend = (*legend, _CHANGED_LEGEND) if charts.changes_of(key) else legend
        emit(console, flow(legend, room(console), "   "))
        try:
            size = room(console), _LOW if is_low else _HEIGHT
            emit(console, _chart(charts, key, size))
        except ImportError as error:  # plotext draws with a compiled library
            _print_remark(console, f"no chart: {sanitized(str(error))}")
            return
    if left_out := keys[most:]:
        _print_remark(console, f"no chart for {', '.join(sanitized(key) for key in left_out)}")


def _print_remark(console: Console, text: str) -> None:
    emit(console, Text(text, style="dim"))


def _chart(charts: Charts, key: str, size: tuple[int, int]) -> Text:
    width, height = size
    curve = charts.deployments[key].curve
    plotext: Any = importlib.import_module("plotext")  # slow to import, and may lack its library
    plotext.terminal.limit(width=False, height=False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    figure.theme("colorless").legend(active=False)
    load = charts.load
    end_s = max([*curve.times_s[-1:], *(t + load.bin_s for t in load.from_s[-1:]), 1.0])
    offered = _offered(load, end_s, samples=2 * width)
    drawn = {
        _OFFERED: offered,
        _SATURATED: _within(offered, charts.saturated),
        _TARGET: _target(curve, end_s),
        _RUNNING: stairs(curve.times_s, curve.running, end_s),
    }
    for symbol, (times_s, values) in drawn.items():
        if times_s:
            marker = plotext.marker(symbol, plotext.pixel(foreground=_COLOURS[symbol]))
            is_load = symbol in (_OFFERED, _SATURATED)
            side = "left" if is_load else "right"
            signal = figure.signal(times_s, values, marker=marker, yside=side)
            figure.draw(signal.fillx() if is_load else signal.lines())
    most_rps = max(offered[1], default=0.0)
    for band in charts.changes_of(key):
        marker = plotext.marker(_CHANGED, plotext.pixel(foreground="magenta"))
        top = [max(most_rps, 1.0) * _MARK_HEIGHT]
        figure.draw(figure.signal([max(0.0, band.to_s)], top, marker=marker, yside="left").lines())
    _label_axes(figure, width, end_s, most_rps, _highest(curve))
    text = Text.from_ansi(figure.build().string().rstrip("\n"))
    figure.clear()
    return text


def _label_axes(  # plotext has no types
    figure: Any,  # noqa: ANN401
    width: int,
    end_s: float,
    most_rps: float,
    most_replicas: int,
) -> None:
    times = ticks(end_s, min(10, width // 10))
    axes = (
        ("x", "lower", "seconds", end_s, 1.0, times),
        ("y", "left", "requests/s", most_rps, _LOAD_HEADROOM, ticks(most_rps, 4)),
        ("y", "right", "replicas", most_replicas, _REPLICA_HEADROOM, ticks(most_replicas, 5, 1)),
    )
    for axis, side, label, most, headroom, shown in axes:
        figure.label(label, axis, side)
        ruler = figure.ruler(axis, side)
        ruler.ticks(shown, [level(tick) for tick in shown])
        ruler.lim(0, max(most, shown[-1]) * headroom)


def ticks(most: float, count: int, least_step: float = 1e-9) -> list[float]:
    """At most `count` round steps from 0 up to `most`; 0 and 1 where it is 0."""
    if most <= 0:
        return [0.0, 1.0]
    magnitude = 10.0 ** math.floor(math.log10(most / count))
    steps = (factor * magnitude for factor in (1, 2, 5, 10))
    step = max(least_step, next(s for s in steps if s * count >= most))
    return [i * step for i in range(int(most / step + 1e-9) + 1)]


def _highest(curve: ReplicaCurve) -> int:
    return max([*curve.running, *(target for target in curve.target if target is not None)])


def _offered(load: LoadBins, end_s: float, samples: int) -> Curve:
    """The highest rate within each of `samples` equal parts of the time axis."""
    times_s: list[float] = []
    values: list[float] = []
    for i in range(samples):
        first = int(i * end_s / samples / load.bin_s)
        last = int((i + 1) * end_s / samples / load.bin_s - 1e-9)
        within = load.offered_rps[first : max(first, last) + 1]
        if within and max(within) > 0:
            times_s.append((i + 0.5) * end_s / samples)
            values.append(max(within))
    return times_s, values


def _within(curve: Curve, bands: Sequence[Band]) -> Curve:
    """Points of `curve` that lie in any of `bands`."""
    points = [
        (t, n) for t, n in zip(*curve, strict=True) if any(b.from_s <= t <= b.to_s for b in bands)
    ]
    return [t for t, _ in points], [n for _, n in points]


def _target(curve: ReplicaCurve, end_s: float) -> Curve:
    """The target; what is deleted has none, which is drawn as 0."""
    told = [t for t, n in zip(curve.times_s, curve.target, strict=True) if n is not None]
    known = [
        (t, n or 0)
        for t, n in zip(curve.times_s, curve.target, strict=True)
        if told and t >= told[0]
    ]
    return stairs([t for t, _ in known], [n for _, n in known], end_s)


def stairs(times_s: Sequence[float], values: Sequence[int], end_s: float) -> Curve:
    """Corners of the curve that keeps each value until the next change, and the last one to the end."""
    corners = list(_corners(times_s, values, end_s))
    return [t for t, _ in corners], [n for _, n in corners]


def _corners(
    times_s: Sequence[float], values: Sequence[int], end_s: float
) -> Iterator[tuple[float, float]]:
    last: int | None = None
    for t, n in zip(times_s, values, strict=True):
        # Polls began before the plan did; plotext leaves holes in lines that begin off the axis.
        at_s = max(t, 0.0)
        if last is not None and n != last:
            yield at_s, last
        if n != last:
            yield at_s, n
        last = n
    if last is not None:
        yield end_s, last
