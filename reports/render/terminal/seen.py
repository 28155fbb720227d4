"""Open requests of a deployment in a terminal: the client's, and what its autoscaler was given."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from reports.model.seen import SeenPoint
from reports.model.steps import DeploymentReport
from reports.render.terminal.layout import emit, room
from scalelag.foreign import sanitized

_BARS = "▁▂▃▄▅▆▇█"
_MOST = 3
_LABEL = 24
_LINES: tuple[tuple[str, Callable[[SeenPoint], float | None]], ...] = (
    ("open at the client", lambda point: point.client),
    ("at its replicas", lambda point: point.running),
    ("given to its autoscaler", lambda point: point.total),
)


def print_seen(console: Console, shown: Mapping[str, DeploymentReport], end_s: float) -> None:
    """Print a line of bars a kind, all of a deployment on one scale; three deployments at most."""
    known = [(key, one.seen.ongoing) for key, one in shown.items() if one.seen.ongoing]
    for key, points in known[:_MOST]:
        console.print()
        emit(console, Text(f"Open requests: {sanitized(key)}", style="bold"))
        for line in seen_lines(points, end_s, max(10, room(console) - _LABEL - 10)):
            emit(console, Text(line))


def seen_lines(points: Sequence[SeenPoint], end_s: float, width: int) -> list[str]:
    """Lines of `width` bars from 0 to `end_s`, each with the most; blank where nothing is known."""
    curves = [(name, _most_by_bin(points, value, end_s, width)) for name, value in _LINES]
    known = [(name, bins) for name, bins in curves if any(one is not None for one in bins)]
    top = max((one for _, bins in known for one in bins if one is not None), default=0.0)
    return [
        f"{name:<{_LABEL}}{''.join(_bar(one, top) for one in bins)}  "
        f"{max(one for one in bins if one is not None):.1f}"
        for name, bins in known
    ]


def _most_by_bin(
    points: Sequence[SeenPoint],
    value: Callable[[SeenPoint], float | None],
    end_s: float,
    width: int,
) -> list[float | None]:
    bins: list[float | None] = [None] * width
    for point in points:
        found = value(point)
        at = int(point.at_s / end_s * width) if end_s > 0 else -1
        if found is not None and 0 <= at < width:
            bins[at] = max(found, bins[at] or 0.0)
    return bins


def _bar(value: float | None, top: float) -> str:
    if value is None:
        return " "
    return _BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] if top > 0 else _BARS[0]
