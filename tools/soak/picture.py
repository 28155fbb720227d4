"""Curves of a soak as an SVG: memory above, open files below, a line a process."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from tools.soak.flat import Curve, Figure

_WIDTH: Final = 860
_LEFT: Final = 60
_RIGHT: Final = 170
_HEIGHT: Final = 170
_TOP: Final = 34
_GAP: Final = 56
_LABEL_PX: Final = 15
_COLOURS: Final = ("#1f77b4", "#d95f02", "#2a9d5c", "#8e44ad", "#b8860b", "#555555")
_PANELS: Final[tuple[tuple[str, tuple[Figure, ...]], ...]] = (
    ("Resident memory (of the page: what its scripts hold), MiB", ("resident", "heap")),
    ("Open files", ("files",)),
)


class Panel(NamedTuple):
    """A chart: its title, its lines and its upper edge in pixels."""

    title: str
    curves: tuple[Curve, ...]
    top: int

    @property
    def most(self) -> float:
        """End of the scale, which begins at 0."""
        return round_up(max(max(filter(None, one.values), default=1.0) for one in self.curves))


def drawn(at_s: Sequence[float], curves: Sequence[Curve]) -> str:
    """Return the picture of these curves over the moments `at_s`, from 0."""
    colours = dict(zip(dict.fromkeys(one.process for one in curves), _COLOURS, strict=False))
    panels = [
        Panel(title, tuple(one for one in curves if one.figure in figures), _top(number))
        for number, (title, figures) in enumerate(_PANELS)
    ]
    height = _top(len(panels)) - _TOP + 8
    parts = [part for panel in panels for part in _panel(panel, at_s, colours)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def round_up(most: float) -> float:
    """Return the next number of the kind 1, 2, 4, 5, 6 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(one * power for one in (1, 2, 4, 5, 6, 8, 10) if one * power >= most)


def label_places(wanted: Sequence[float]) -> list[float]:
    """Return heights of labels in pixels near those that are wanted, none over another."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = list(wanted)
    for before, index in pairwise(order):
        places[index] = max(places[index], places[before] + _LABEL_PX)
    return places


def _top(number: int) -> int:
    return _TOP + number * (_HEIGHT + _GAP)


def _panel(panel: Panel, at_s: Sequence[float], colours: dict[str, str]) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="{panel.top - 12}" font-weight="bold">{panel.title}</text>'
    for share in (0.0, 0.5, 1.0):
        y = _y(panel, share * panel.most)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share * panel.most:g}</text>'
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, below = _x(share), panel.top + _HEIGHT + 16
        unit = " min" if share == 1.0 else ""
        text = f"{share * at_s[-1] / 60:.3g}{unit}"
        yield f'<text x="{x:.1f}" y="{below}" text-anchor="middle">{text}</text>'
    ends = [
        _y(panel, next(v for v in reversed(one.values) if v is not None)) for one in panel.curves
    ]
    for curve, y in zip(panel.curves, label_places(ends), strict=True):
        colour = colours[curve.process]
        points = _points(panel, at_s, curve)
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'
        where = f'x="{_WIDTH - _RIGHT + 8}" y="{y + 4:.1f}" fill="{colour}"'
        yield f"<text {where}>{curve.process}</text>"


def _points(panel: Panel, at_s: Sequence[float], curve: Curve) -> str:
    length_s = at_s[-1] or 1.0
    return " ".join(
        f"{_x(moment_s / length_s):.1f},{_y(panel, value):.1f}"
        for moment_s, value in zip(at_s, curve.values, strict=True)
        if value is not None
    )


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(panel: Panel, value: float) -> float:
    return panel.top + _HEIGHT * (1 - value / panel.most)
