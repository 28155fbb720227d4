"""Entries of a matrix, and its report."""

from reports.analysis.comparing.matrix import EntryRuns, matrix_report
from tests.support.built.made_report import report_of
from tests.support.built.scaled import deployment_of

KEY = "default/Sleeper"
NOISE = (1.0, 1.04, 0.97, 1.02)


def entry(label, factor, *, reason=None, runs=4):
    reports = {
        f"{label}/{n}": report_of({KEY: deployment_of([10 * factor * NOISE[n]])})
        for n in range(runs)
    }
    return EntryRuns(label=label, ray=label.split()[0], reports=reports, reason=reason)


def reported(*entries):
    return matrix_report(
        entries, plan="5rps:8s,20rps:14s", times=4, folder="runs/matrix", min_effect=1.1
    )
