"""Load plan of a shape class of the user's own: made from its ticks, since it asks nobody before.

Few levels that each hold for a while are the stages as they are. Of any other curve, such as a wave
that changes each second, the stages are the stairs that `change_points` finds, as in a trace.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from scalelag.plan.change_points import LEAST_CELL_S, MOST_CELLS, Counts, change_points
from scalelag.plan.stages import LoadPlan, Stage

_LEAST_HOLD_S = 2.0
_MOST_STAGES = 100
_SLOW_S = 1.0
# User-seconds have no noise, so that even the smallest change counts against the penalty.
_WEIGHT = 1e6


class Tick(msgspec.Struct, frozen=True):
    """Users that the shape asked for from `at_s` seconds after the plan's start on.

    They are started and stopped at `spawn_rate` users per second.
    """

    at_s: float
    users: int
    spawn_rate: float


def shape_plan(name: str, ticks: Sequence[Tick], until_s: float) -> LoadPlan:
    """Plan in users of the shape class `name`, from its `ticks` so far; it ends at `until_s`."""
    pieces = _pieces(ticks, until_s)
    chosen = pieces if _is_stepped(pieces) else _stairs(pieces)
    return LoadPlan(f"shape {name}", 1, "users", tuple(chosen))


def unknown_plan(name: str) -> LoadPlan:
    """Plan of a shape that has not been asked for anything yet: no users, for no known time."""
    return LoadPlan(f"shape {name}", 1, "users", (Stage(0.0, 1.0, 0.0, 0.0),))


def _pieces(ticks: Sequence[Tick], until_s: float) -> list[Stage]:
    """Levels, each preceded by a ramp if its users are spawned slowly."""
    pieces: list[Stage] = []
    level = 0.0
    ends_s = [tick.at_s for tick in ticks[1:]] + [max(until_s, ticks[-1].at_s + LEAST_CELL_S)]
    for tick, end_s in zip(ticks, ends_s, strict=True):
        held_s = end_s - tick.at_s
        if held_s <= 0:
            continue
        ramp_s = abs(tick.users - level) / max(tick.spawn_rate, 1e-9)
        at_s = tick.at_s
        if ramp_s > _SLOW_S:
            took_s = min(ramp_s, held_s)
            reached = level + (tick.users - level) * took_s / ramp_s
            pieces.append(Stage(at_s, took_s, level, reached))
            at_s, level = at_s + took_s, reached
        if end_s - at_s > 1e-9:
            level = float(tick.users)
            pieces.append(Stage(at_s, end_s - at_s, level, level))
    return pieces


def _is_stepped(pieces: Sequence[Stage]) -> bool:
    return len(pieces) <= _MOST_STAGES and all(
        piece.duration_s >= _LEAST_HOLD_S for piece in pieces[:-1]
    )


def _stairs(pieces: Sequence[Stage]) -> Iterable[Stage]:
    """Stairs of about constant level."""
    end_s = pieces[-1].end_s
    width_s = max(LEAST_CELL_S, end_s / MOST_CELLS)
    grid_s = np.arange(int(end_s / width_s)) * width_s
    starts_s = np.array([piece.at_s for piece in pieces])
    moments_s = np.unique(np.concatenate((grid_s, starts_s, [end_s])))
    reached = _user_seconds(pieces, moments_s)
    points = Counts(moments_s, reached * _WEIGHT)
    cells_s = np.append(grid_s, end_s)
    cells = Counts(cells_s, _user_seconds(pieces, cells_s) * _WEIGHT)
    edges = change_points(cells, points.within, scattered=False)
    widths_s = np.diff(edges.moments_s)
    levels = np.diff(edges.reached) / widths_s / _WEIGHT
    return [
        Stage(float(at_s), float(width_s), level, level)
        for at_s, width_s, level in zip(
            edges.moments_s[:-1], widths_s, [float(f"{one:.4g}") for one in levels], strict=True
        )
    ]


def _user_seconds(pieces: Sequence[Stage], moments_s: np.ndarray) -> np.ndarray:
    """Integral of the users up to each moment."""
    at_s = np.array([pieces[0].at_s, *(piece.end_s for piece in pieces)])
    areas = [piece.duration_s * (piece.start_level + piece.end_level) / 2 for piece in pieces]
    reached = np.concatenate(([0.0], np.cumsum(areas)))
    row = np.clip(np.searchsorted(at_s, moments_s, side="right") - 1, 0, len(pieces) - 1)
    into_s = np.clip(moments_s - at_s[row], 0.0, None)
    start = np.array([piece.start_level for piece in pieces])[row]
    slope = np.array(
        [(piece.end_level - piece.start_level) / piece.duration_s for piece in pieces]
    )[row]
    return reached[row] + into_s * start + slope * into_s**2 / 2
