"""Decision, submission, start and RUNNING come in this order, whatever source tells each."""

import math

import numpy as np
import pytest

from reports.analysis.lag.stopping import stopping_report
from reports.analysis.lag.timeline import build_timeline
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Poll, Transition
from tests.unit.test_exact_phases import (
    KEY,
)

DOWN = (40.0, 5.0)


def at_poll(replica: str, sent_s: float, state: str | None, **more: object) -> Transition:
    """First shown by the poll that was sent at a moment."""
    return Transition(KEY, replica, sent_s + 0.1, sent_s - 0.5, to_state=state, **more)


def test_a_replica_that_stops_when_watching_begins_counts_from_the_first_poll():
    seen = [
        Poll(t, t + 0.1, 200, {KEY: DeploymentPoll({"RUNNING": 1, "STOPPING": int(t < 12)}, 1)})
        for t in (8.0, 10.0, 12.0, 14.0)
    ]
    rows = [
        Transition(KEY, "a", 8.1, None, to_state="STOPPING"),
        Transition(KEY, "a", 12.1, 10.0, to_state=None),
    ]
    nothing = np.array([])
    columns = RequestColumns(
        *(nothing.astype(kind) for kind in ("f8", "f4", "f4", "u2", "i4", "i4", "u2")),
        names=(),
        errors=(),
    )

    report = stopping_report(columns, build_timeline(KEY, seen, rows), 20.0)

    assert math.isfinite(report.stopping_s)
    assert report.stopping_s == pytest.approx(12.1 - 8.1)
