"""The stored soaks, their part of docs/reliability.md, and their pictures in docs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from reports.model.report import Report
from scalelag.record.requests_file import RequestColumns
from tools.marked_page import write_between
from tools.soak.flat import ALL, Curve, Figure, Trend, problems, spare_files, thinned, trend_of
from tools.soak.picture import drawn

RESULTS: Final = Path(__file__).with_name("results.json")
DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "reliability.md"
MARKS: Final = ("<!-- soak: make soak -->\n", "<!-- end of soak -->\n")
POINTS: Final = 120
"""Readings that are stored; the judgement is of all."""
_HEADS: Final[dict[Figure, str]] = {
    "resident": "resident, MiB",
    "own": "of its own, MiB",
    "files": "open files",
    "threads": "threads",
}
_ROWS: Final = {ALL: "all, the most beside such connections"}


class Soak(msgspec.Struct, frozen=True):
    """A soak of `minutes` against one kind of target, and what the report of its run says.

    `steps` are steps of the load, up and down, and `answered` those that replicas followed. `at_s`
    and `curves` are some of the readings, `trends` the judgement of all.
    """

    target: str
    page: str
    made_on: str
    minutes: float
    steps: int
    answered: int
    planned: int
    sent: int
    failed: int
    trends: tuple[Trend, ...]
    at_s: tuple[float, ...]
    curves: tuple[Curve, ...]


def soak_of(
    target: str,
    page: str,
    made_on: str,
    readings: tuple[Sequence[float], Sequence[Curve]],
    report: Report,
    rows: RequestColumns,
) -> Soak:
    """Judge readings, moments (Unix seconds) and curves, of a run with this report and requests."""
    at_s, curves = readings
    curves = [*curves, spare_files(at_s, curves, rows)]
    steps = [one for each in report.deployments.values() for one in each.steps]
    return Soak(
        target=target,
        page=page,
        made_on=made_on,
        minutes=round((at_s[-1] - at_s[0]) / 60, 1),
        steps=len(steps),
        answered=sum(one.total_s is not None and not one.censored for one in steps),
        planned=report.load.planned,
        sent=report.load.sent,
        failed=report.load.failed,
        trends=tuple(trend_of(at_s, curve) for curve in curves),
        at_s=tuple(round(one - at_s[0], 1) for one in thinned(at_s, POINTS)),
        curves=tuple(_thin(curve) for curve in curves),
    )


def _thin(curve: Curve) -> Curve:
    values = thinned(curve.values, POINTS)
    few = tuple(None if one is None else round(one, 2) for one in values)
    return msgspec.structs.replace(curve, values=few)


def stored() -> tuple[Soak, ...]:
    """Return the stored soaks."""
    if not RESULTS.exists():
        return ()
    return msgspec.json.decode(RESULTS.read_bytes(), type=tuple[Soak, ...])


def store(new: Soak) -> None:
    """Put a soak in the place of the older one, and write the page and the picture."""
    by_target = {one.target: one for one in (*stored(), new)}
    soaks = sorted(by_target.values(), key=lambda one: one.target, reverse=True)
    lines = b",\n".join(msgspec.json.encode(one) for one in soaks)
    RESULTS.write_bytes(b"[\n" + lines + b"\n]\n")
    picture_of(new).write_text(drawn(new.at_s, new.curves), encoding="utf-8")
    write_between(PAGE, MARKS, text_of(soaks))


def picture_of(soak: Soak) -> Path:
    """Path of its picture."""
    return DOCS / f"soak-{soak.target.lower().replace(' ', '-')}.svg"


def text_of(soaks: Sequence[Soak]) -> str:
    """Return the part of the page."""
    return "\n" + "\n\n".join("\n".join(_part(one)) for one in soaks) + "\n\n"


def _part(soak: Soak) -> Iterator[str]:
    flat = "Flat" if not problems(soak.trends) else "Not flat"
    yield (
        f"**{soak.target}**, {soak.made_on}: {soak.minutes:g} minutes, the page {soak.page}. "
        f"{soak.steps} steps of the load, {soak.answered} followed by replicas; {soak.sent:,} of "
        f"{soak.planned:,} requests sent, {soak.failed:,} failed. {flat}."
    )
    yield ""
    yield f"| process | {' | '.join(_HEADS.values())} |"
    yield "| --- |" + " ---: |" * len(_HEADS)
    by_key = {(one.process, one.figure): one for one in soak.trends}
    for process in dict.fromkeys(one.process for one in soak.trends):
        cells = [_cell(by_key.get((process, figure))) for figure in _HEADS]
        if heap := by_key.get((process, "heap")):
            cells[1] = _cell(heap)
        if spare := by_key.get((process, "spare")):
            cells[2] = _cell(spare)
        yield f"| {_ROWS.get(process, process)} | {' | '.join(cells)} |"
    yield ""
    yield f"![Curves of the soak, {soak.target}]({picture_of(soak).name})"


def _cell(trend: Trend | None) -> str:
    if trend is None:
        return "-"
    if trend.growth_per_hour is None:
        return "ended"
    digits = "g" if trend.figure in ("files", "spare", "threads") else ".1f"
    told = f"{trend.second:{digits}} → {trend.last:{digits}} ({trend.growth_per_hour:+.1f})"
    return told if trend.is_flat else f"**{told}**"
