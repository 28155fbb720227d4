"""Timelines that rules of the diagnosis are tried on."""

import numpy as np

from reports.analysis.diagnosis.cluster_rules import NETWORK, RESOURCES, STATE_SYNC
from reports.analysis.diagnosis.failure_notes import FailedRows, failure_notes
from reports.analysis.diagnosis.replica_rules import (
    BOUNDS,
    HEALTH_CHECK,
    SLOW_INIT,
)
from tests.support.built.step_facts import (
    FIRST,
    life,
)

ALL_RULES = (NETWORK, RESOURCES, STATE_SYNC, HEALTH_CHECK, SLOW_INIT, BOUNDS)

LATE = {"total_s": 12.0}

OURS = {"{'CPU': 1.0}": 1}


def starting(waited_s):
    """The third replica waits for its place that long."""
    placed_s = 1012.0 + waited_s
    third = life("r3", entered=placed_s, initialized=placed_s + 0.1, running=placed_s + 0.5)
    return (FIRST, life("r2"), third)


def texts(finding):
    return [evidence.text for evidence in finding.evidence]


def slow_third(init_s, waited_s=1.0):
    """The third replica waits, then initialises for so long."""
    entered_s = 1012.0 + waited_s
    done_s = entered_s + init_s
    third = life("r3", entered=entered_s, initialized=done_s, running=done_s + 0.4)
    return (FIRST, life("r2"), third)


def notes_on(given):
    """Notes on the kinds of all failed requests of a run."""
    rows = given.run.requests
    places = np.flatnonzero(rows.error >= 0).astype(np.uint32)
    found = failure_notes(FailedRows(given.run, {given.key: given.timeline}, places))
    return [note for _, note in found]


def causes(findings):
    return [finding.cause for finding in findings]
