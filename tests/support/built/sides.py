"""Comparisons to render: of the stored runs, and of perturbed ones."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from reports.analysis.analyse import analyse
from reports.analysis.comparing.compare import compare
from reports.analysis.comparing.curves import compared_lines, run_lines
from reports.analysis.comparing.run_differences import OptionSet, run_differences, side_labels
from reports.model.comparison import ComparedLines, Comparison
from reports.model.report import Report
from reports.render.html.comparison_page import render_html_comparison
from reports.render.html.shell import Script
from scalelag.options.catalog import COMPARABLE
from scalelag.record.run_dir import RecordedRun
from tests.support.built.drawn import HOSTILE, HOSTILE_KEY
from tests.support.built.perturbed import perturbed
from tests.support.stored_runs import RUNS, recorded

KEY = "default/Sleeper"


class ComparedSides(NamedTuple):
    """A comparison, and what a page of it is made from."""

    found: Comparison
    reports: dict[str, Report]
    lines: ComparedLines

    def page(self, plotly: Script | None = None) -> bytes:
        return render_html_comparison(self.found, self.reports, self.lines, plotly)


def compared(
    base: Mapping[str, RecordedRun],
    candidate: Mapping[str, RecordedRun],
    *,
    within_run: bool = False,
) -> ComparedSides:
    """As `scalelag compare --allow-differences` does it."""
    sides = [{name: analyse(run) for name, run in side.items()} for side in (base, candidate)]
    reports = [{name: one.report for name, one in side.items()} for side in sides]
    lines = [[run_lines(one.charts) for one in side.values()] for side in sides]
    known = OptionSet(COMPARABLE)
    infos = [[run.info for run in side.values()] for side in (base, candidate)]
    differences = run_differences([*infos[0], *infos[1]], known)
    labels = side_labels(infos[0], infos[1], known)
    found = compare(
        reports[0], reports[1], differences=differences, labels=labels, within_run=within_run
    )
    return ComparedSides(found, reports[0] | reports[1], compared_lines(*lines))


def stored() -> ComparedSides:
    """The two stored runs: of other plans, with too few steps."""
    runs = [{f"runs/{name}": recorded(name)} for name in RUNS]
    return compared(*runs)


def two() -> ComparedSides:
    """Two runs of six repetitions, judged by their steps: the candidate scales 1.35 times as slowly."""
    random = np.random.default_rng(3)
    demo = recorded("demo")
    return compared(
        {"runs/20261122-174501-main": perturbed(demo, random, repeat=6)},
        {"runs/20261123-174501-pull-812": perturbed(demo, random, repeat=6, lag=1.35)},
        within_run=True,
    )


def five(runs: int = 5) -> ComparedSides:
    """Five runs a side: the candidate scales 1.35 times as slowly, and answers a little quicker."""
    random = np.random.default_rng(7)
    demo = recorded("demo")
    sides = [
        {
            f"{name}/20261122-17450{i}-nightly": perturbed(
                demo, random, lag=lag, latency=latency, noise=0.06
            )
            for i in range(runs)
        }
        for name, lag, latency in (("base", 1.0, 1.0), ("candidate", 1.35, 0.97))
    ]
    return compared(*sides)


def hostile() -> ComparedSides:
    """Names that mean harm, wherever a comparison has names."""
    compared_, names = two(), {}
    found, reports, lines = compared_
    for name, report in reports.items():
        run = msgspec.structs.replace(report.run, name=HOSTILE, steps=f"{HOSTILE}5rps")
        versions = msgspec.structs.replace(run.versions, ray=HOSTILE)
        names[f"{HOSTILE_KEY}{name}"] = msgspec.structs.replace(
            report, run=msgspec.structs.replace(run, versions=versions)
        )
    figures = tuple(
        msgspec.structs.replace(one, figure=one.figure.replace(KEY, HOSTILE_KEY))
        for one in found.figures
    )
    untold = msgspec.structs.replace(
        figures[0], figure=f"{HOSTILE}:x", effect=None, verdict="not comparable", reason=HOSTILE
    )
    speedups = tuple(
        msgspec.structs.replace(one, deployment=HOSTILE_KEY, value=None, reason=HOSTILE)
        for one in found.elastic_speedup
    )
    base, candidate = names
    found = msgspec.structs.replace(
        found,
        base=(base,),
        candidate=(candidate,),
        figures=(*figures, untold),
        differences=(f"--path: {HOSTILE} and \u202e",),
        elastic_speedup=speedups,
    )
    sides = [
        msgspec.structs.replace(side, replicas={HOSTILE_KEY: side.replicas[KEY]})
        for side in (lines.base, lines.candidate)
    ]
    lines = msgspec.structs.replace(
        lines,
        base=sides[0],
        candidate=sides[1],
        deployments=(HOSTILE_KEY,),
        thinned=(f"{HOSTILE} is thinned",),
    )
    return ComparedSides(found, names, lines)


BUILT = {"stored": stored, "two": two, "five": five, "hostile": hostile}
