"""Evidence from the logs of a real cluster, against what polling saw of the same replicas."""

import time
from contextlib import closing

import pytest

from probes.dashboard import Dashboard
from probes.logs.read import read_evidence
from scalelag.record.evidence_rows import LogEvent, NodeClock, NoLog
from scalelag.record.rows import Transition
from tests.live.come_and_go import REPLICAS, assert_as_polled, came, come_and_go, sleeper

ENCODINGS = ("TEXT", "JSON")


def raw_lines(rows, app):
    """The lines of an application's replicas as its logs have them."""
    return [
        row.raw
        for row in rows
        if isinstance(row, LogEvent)
        and row.kind == "init_done"
        and row.deployment == f"{app}/Sleeper"
    ]


@pytest.mark.long
def test_the_logs_tell_what_polling_saw_in_either_encoding(cluster):
    apps = [sleeper(encoding, logging_config={"encoding": encoding}) for encoding in ENCODINGS]

    watched, rows = come_and_go(cluster.urls.dashboard, cluster.token, cluster.urls.host, apps)

    assert [row for row in rows if isinstance(row, NoLog)] == []
    assert len(came(watched.transitions)) == len(apps) * REPLICAS, watched.transitions
    assert_as_polled(rows, watched.transitions)
    (clock,) = [row for row in rows if isinstance(row, NodeClock)]
    assert clock.error_s < 0.05
    # This machine wrote all of it: its clock is ours, but for the time zone.
    assert abs(clock.offset_s - time.localtime().tm_gmtoff) <= clock.error_s
    written = {encoding: raw_lines(rows, encoding) for encoding in ENCODINGS}
    assert [raw[0] == "{" for raw in written["JSON"]] == [True] * REPLICAS
    assert [raw[0] == "{" for raw in written["TEXT"]] == [False] * REPLICAS


def test_a_wrong_token_leaves_one_row_with_the_reason(cluster):
    with closing(Dashboard(cluster.urls.dashboard, time.time, "0" * 64)) as dashboard:
        change = Transition(
            "default/Sleeper", "r1", time.time(), time.time() - 1, None, "STARTING", "n1"
        )
        rows = read_evidence(dashboard, [change], None, (0, time.time()), None, time.time)

    assert [type(row) for row in rows] == [NoLog, NoLog]
    assert rows[1].reason.startswith("HTTP 403: the dashboard refuses access to logs")
