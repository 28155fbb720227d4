"""`comparison.html`: runs of one build against those of another, as a page."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reports.model.comparison import ComparedLines, Comparison
from reports.model.report import Report
from reports.render.html.axes import marked_steps, views
from reports.render.html.compared_figures import (
    compared_latency,
    compared_load,
    compared_replicas,
)
from reports.render.html.compared_tables import run_table
from reports.render.html.figure import Figure
from reports.render.html.ratio_figure import ratio_figure
from reports.render.html.shell import Script, environment, shell
from reports.render.tables.comparison import (
    SPEEDUP,
    explaining,
    explaining_table,
    main_table,
    mains,
    notes,
    ratio,
    rule,
    speedup_table,
)
from scalelag.foreign import sanitized
from scalelag.wording import count

_MOST_NAMED = 20
_MOST_DECISIVE = 6
_MOST_LINES = 100
_SAME_PLAN = "Both sides ran one plan: aligned at its start, their steps are aligned too."
_OTHER_PLANS = (
    "The plans differ: each run is drawn from the start of its own, and the steps are those of the "
    "base's first run."
)


class SideNames(msgspec.Struct, frozen=True):
    """The runs of one side; `label` is what makes it differ.

    `more` says how many are not named.
    """

    side: str
    label: str
    runs: str
    names: tuple[str, ...]
    more: str


class DrawnDeployment(msgspec.Struct, frozen=True):
    """The chart of one deployment."""

    key: str
    id: str
    figure: Figure


def render_html_comparison(
    found: Comparison,
    reports: Mapping[str, Report],
    lines: ComparedLines,
    plotly: Script | None = None,
) -> bytes:
    """The page in UTF-8; `reports` are those of both sides by name, `lines` what is drawn of them.

    `plotly` is put in place of plotly.js, which makes 4.8 MB of it.
    """
    first = reports[found.base[0]]
    ratios = ratio_figure(found.figures, found.min_effect)
    over_time = [
        compared_load(lines, marked_steps(first)),
        compared_latency(lines, marked_steps(first)),
    ]
    deployments = [
        _deployment(number, key, first, lines)
        for number, key in enumerate(lines.deployments, start=1)
    ]
    figures = [*([ratios] if ratios else []), *over_time, *(part.figure for part in deployments)]
    template = environment().get_template("comparison.html.j2")
    page = template.render(
        title=f"{found.verdict.upper()}: candidate against base",
        **shell(figures, plotly),
        **_head(found),
        ratios=ratios,
        **_figures(found),
        over_time=over_time,
        deployments=deployments,
        **_time_words(found, first, lines),
        **_speedups(found),
        **_runs(found, reports),
    )
    return page.encode()


def _head(found: Comparison) -> dict[str, Any]:
    """The verdict, the figures that decided it, both sides, and their differences."""
    return {
        "found": found,
        "sides": [
            _named("base", found.base_label, found.base),
            _named("candidate", found.candidate_label, found.candidate),
        ],
        "reason": sanitized(found.reason or ""),
        "decisive": _decisive(found),
        "differences": [sanitized(line) for line in found.differences],
        "warnings": [sanitized(line) for line in found.warnings],
    }


def _time_words(found: Comparison, first: Report, lines: ComparedLines) -> dict[str, Any]:
    """Words about the charts over time, and the views of their axes."""
    return {
        "several": len(found.base) + len(found.candidate) > 2,
        "views": views(first, lines.end_s),
        "thinned": [sanitized(text) for text in lines.thinned],
        "unseen": bool(lines.unseen),
        "restarts": bool(lines.restarts),
    }


def _runs(found: Comparison, reports: Mapping[str, Report]) -> dict[str, Any]:
    """The table of all runs, their plans, and how that aligns them."""
    plans = _plans(reports.values())
    return {
        "run_table": run_table(found, reports),
        "plans": plans,
        "aligned": _SAME_PLAN if len(plans) == 1 else _OTHER_PLANS,
    }


def _figures(found: Comparison) -> dict[str, Any]:
    """The table of figures that could be compared, and the others with the reason."""
    told = [figure for figure in found.figures if figure.effect is not None]
    untold = [figure for figure in found.figures if figure.effect is None]
    main, others = mains(told), explaining(told)
    return {
        "rule": rule(found),
        "main_table": main_table(main) if main else None,
        "explaining_table": explaining_table(others) if others else None,
        "notes": list(notes(told))[:_MOST_LINES],
        "untold": [
            (sanitized(one.figure), sanitized(one.reason or "")) for one in untold[:_MOST_LINES]
        ],
        "untold_left_out": _more(len(untold) - _MOST_LINES),
        "untold_count": len(untold),
    }


def _speedups(found: Comparison) -> dict[str, Any]:
    """The table of elastic speedups, and why some are missing."""
    speedups = found.elastic_speedup
    return {
        "speedup": SPEEDUP,
        "speedup_table": speedup_table(speedups) if speedups else None,
        "no_speedup": [
            (sanitized(one.deployment), sanitized(one.reason))
            for one in speedups[:_MOST_LINES]
            if one.reason
        ],
    }


def _decisive(found: Comparison) -> list[tuple[str, str]]:
    """The figures that made the verdict, with their ratios, where it says that something differs."""
    if found.verdict not in ("regression", "improvement"):
        return []
    figures = [figure for figure in found.figures if figure.verdict == found.verdict]
    return [(sanitized(figure.figure), ratio(figure)) for figure in figures[:_MOST_DECISIVE]]


def _named(side: str, label: str, names: tuple[str, ...]) -> SideNames:
    return SideNames(
        side=side,
        label="" if label == side else sanitized(label),
        runs=count(len(names), "run"),
        names=tuple(sanitized(name) for name in names[:_MOST_NAMED]),
        more=_more(len(names) - _MOST_NAMED),
    )


def _deployment(number: int, key: str, first: Report, lines: ComparedLines) -> DrawnDeployment:
    id_ = f"deployment-{number}"
    return DrawnDeployment(
        sanitized(key), id_, compared_replicas(key, id_, lines, marked_steps(first))
    )


def _more(number: int) -> str:
    return f"and {number:,} more" if number > 0 else ""


def _plans(reports: Iterable[Report]) -> list[str]:
    """The plans of the runs, each once."""
    found = (
        f"{report.run.steps}{f', {report.run.repeat} times' if report.run.repeat > 1 else ''}"
        for report in reports
    )
    return list(dict.fromkeys(map(sanitized, found)))
