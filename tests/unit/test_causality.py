"""Decision, submission, start and RUNNING come in this order, whatever source tells each."""

import math

import numpy as np
import pytest

from reports.analysis.lag.stopping import stopping_report
from reports.analysis.lag.timeline import build_timeline
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Poll, Transition
from tests.unit.test_exact_phases import (
    CLOCK,
    KEY,
    SKEW_S,
    UP,
    event,
    lag,
    life,
    phase,
    polls,
)

DOWN = (40.0, 5.0)


def at_poll(replica: str, sent_s: float, state: str | None, **more: object) -> Transition:
    """First shown by the poll that was sent at a moment."""
    return Transition(KEY, replica, sent_s + 0.1, sent_s - 0.5, to_state=state, **more)


def test_create_between_a_log_line_and_a_field_of_the_state_is_as_unsure_as_both_clocks():
    """They are read through two estimates of the controller's clock, here 0.12 s apart."""
    unsure = build_timeline(
        KEY,
        polls((8.0, 1, {"RUNNING": 1}), (14.5, 2, {"RUNNING": 1, "STARTING": 1}),
              (18.0, 2, {"RUNNING": 2})),
        life("a", 14.27, 15.1, 17.84),
        [UP, event("starting", 14.27, "a")],
        CLOCK.__class__(0.0, 0.0, offset_s=100.0, error_s=0.15),
    )  # fmt: skip

    create = phase(lag(unsure), "create")

    assert create.value == pytest.approx(0.17)
    assert create.lo == pytest.approx(0.17 - 0.15 - SKEW_S)
    assert create.hi == pytest.approx(0.17 + 0.15 + SKEW_S)


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
