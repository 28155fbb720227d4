"""Events by hand-made records: when they were noticed, when it was whole again, who noticed.

Polls come at whole seconds and are answered 0.2 s later, unless a test says otherwise. Expected values
are reckoned by hand from the script of each test.
"""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.analyse import analyse
from reports.analysis.events.of_run import first_of
from reports.analysis.seen.routing import perhaps_for
from reports.model.intervals import Span
from reports.render.html.shell import environment
from reports.render.junit import render_junit
from reports.render.tables.events import event_table, starts_table
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import ControllerRestart, ProxyChange, StatusChange
from tests.unit.event_cases import (
    ANSWER_S,
    AT_S,
    FULL,
    KILLED,
    LOSS,
    PLAN,
    bounds,
    causes,
    event,
    only,
    recorded,
)
from tests.unit.recorded_runs import KEY, ZERO_S, info, requests


def test_a_killed_replica_is_healed_when_another_one_runs_in_its_place():
    found, _ = only(recorded(LOSS, KILLED))

    # Seen between the poll sent at 22 and the one received at 23.2; begun in [20.5, 20.51].
    assert bounds(found.detect_s) == (1.49, 2.7)
    assert bounds(found.healed_s) == (8.49, 9.7)
    effect = found.deployments[KEY]
    assert (effect.lost, effect.critical_replica) == (("a",), "d")
    assert (effect.least_running, effect.most_running) == (2, 3)
    assert [phase.name for phase in found.phases][:2] == ["detect", "create"]
    assert not found.censored


def test_the_lines_of_logs_make_it_exact():
    def line(kind, at_s, replica):
        return LogEvent(kind, ZERO_S + at_s, 0.001, "n", "...", KEY, replica)

    log = (
        line("health_check_failed", 21.75, "a"),
        line("stopping", 22.5, "a"),
        line("starting", 23.3, "d"),
        line("started", 29.8, "d"),
    )

    found, _ = only(recorded(LOSS, KILLED, events=log))

    assert bounds(found.detect_s) == pytest.approx((1.239, 1.251), abs=0.002)
    assert bounds(found.healed_s) == pytest.approx((9.289, 9.301), abs=0.002)


def test_what_still_seems_to_run_is_not_counted_until_it_is_noticed():
    """Serve shows a dead replica RUNNING until a health check fails, and may start another before."""
    early = {
        22: FULL | {"d": "RUNNING"},
        26: {"a": "STOPPING", "b": "RUNNING", "c": "RUNNING", "d": "RUNNING"},
    }

    found, _ = only(recorded(early, KILLED))

    assert bounds(found.healed_s) == (4.49, 5.7)


def test_an_end_that_was_not_seen_is_a_lower_bound_with_the_reason():
    found, _ = only(recorded({23: {"b": "RUNNING", "c": "RUNNING"}}, KILLED))

    assert found.censored
    assert bounds(found.healed_s) == (68.69, None)  # the last poll is answered at 89.2
    assert found.reason == "2 of 3 RUNNING when watching ended"


def test_a_controller_is_whole_again_when_its_replicas_are_running():
    recovering = dict.fromkeys(FULL, "RECOVERING")
    restart = ControllerRestart(ZERO_S + 21, ZERO_S + 23.2)

    found, report = only(
        recorded({23: recovering, 26: FULL}, event("kill_controller"), restarts=(restart,))
    )

    assert bounds(found.detect_s) == (0.49, 2.7)
    assert bounds(found.healed_s) == (4.49, 5.7)
    # The warning about a restart without a cause is gone: the event is its cause.
    assert [warning for warning in report.warnings if "restarted" in warning] == []


def test_the_log_of_a_new_controller_tells_when_it_was_there():
    recovering = dict.fromkeys(FULL, "RECOVERING")
    restart = ControllerRestart(ZERO_S + 21, ZERO_S + 23.2)
    line = LogEvent("controller_started", ZERO_S + 22.5, 0.01, "n", "Controller starting")
    states = {23: recovering, 26: FULL}

    found, report = only(
        recorded(states, event("kill_controller"), restarts=(restart,), events=(line,))
    )

    # Begun in [20.5, 20.51], give or take the clock of the log.
    assert bounds(found.detect_s) == pytest.approx((1.98, 2.01), abs=1e-6)
    assert bounds(found.healed_s) == (4.49, 5.7)
    assert [warning for warning in report.warnings if "restarted" in warning] == []


def test_a_restart_that_no_event_made_stays_a_warning():
    restart = ControllerRestart(ZERO_S + 61, ZERO_S + 63.2)

    _, report = only(recorded(LOSS, KILLED, restarts=(restart,)))

    assert len([warning for warning in report.warnings if "restarted" in warning]) == 1


def test_a_proxy_is_whole_again_when_it_is_healthy():
    proxies = (
        ProxyChange("n", ZERO_S + 24.2, ZERO_S + 23, "HEALTHY", "UNHEALTHY"),
        ProxyChange("n", ZERO_S + 27.2, ZERO_S + 26, "UNHEALTHY", None),
        ProxyChange("n", ZERO_S + 30.2, ZERO_S + 29, None, "HEALTHY"),
    )

    found, _ = only(recorded({}, event("kill_proxy", node="n"), proxies=proxies))

    assert bounds(found.detect_s) == (2.49, 3.7)
    assert bounds(found.healed_s) == (8.49, 9.7)


def test_a_new_target_is_met_when_that_many_run_and_is_no_step_of_the_autoscaler():
    more = {f"r{number}": "STARTING" for number in range(2)}
    states = {
        22: FULL | more,
        26: FULL | more | {"r0": "RUNNING"},
        28: FULL | dict.fromkeys(more, "RUNNING"),
    }

    found, report = only(
        recorded(
            states,
            event("scale", name=KEY, count=5),
            target=lambda at_s: 3 if at_s < 21 else 5,
        )
    )

    assert bounds(found.detect_s) == (0.0, 0.7)
    assert bounds(found.healed_s) == (6.49, 7.7)
    starts = found.deployments[KEY].starts
    assert starts.replicas == 2
    # The second came between 27 and 28.2, 7.1 s after the middle of the event.
    assert starts.replicas_per_s == pytest.approx(2 / 7.095)
    assert report.deployments[KEY].target_reversals == 0
    assert [step.total_s for step in report.deployments[KEY].steps] == [None, None]


def test_what_the_first_poll_after_an_event_shows_came_with_it():
    """The poll before was sent before the event: the time of the listing reaches back behind it."""
    states = {21: FULL | {"d": "STARTING"}, 26: FULL | {"d": "RUNNING"}}

    found, _ = only(
        recorded(
            states, event("scale", name=KEY, count=4), target=lambda at_s: 3 if at_s < 21 else 4
        )
    )

    effect = found.deployments[KEY]
    assert (effect.critical_replica, effect.starts.replicas) == ("d", 1)
    assert [phase.name for phase in effect.phases][:2] == ["detect", "create"]


def test_an_update_is_over_when_only_new_replicas_run():
    states = {
        22: FULL | {"x": "STARTING"},
        25: {"a": "STOPPING", "b": "RUNNING", "c": "RUNNING", "x": "RUNNING"},
        27: {"b": "STOPPING", "c": "RUNNING", "x": "RUNNING", "y": "STARTING"},
        30: {"c": "RUNNING", "x": "RUNNING", "y": "RUNNING", "z": "STARTING"},
        33: {"c": "STOPPING", "x": "RUNNING", "y": "RUNNING", "z": "RUNNING"},
        35: {"x": "RUNNING", "y": "RUNNING", "z": "RUNNING"},
    }
    statuses = (
        StatusChange(KEY, ZERO_S + 21.2, "UPDATING", ZERO_S + 20, "CONFIG_UPDATE_STARTED"),
        StatusChange(KEY, ZERO_S + 35.2, "HEALTHY", ZERO_S + 34, "CONFIG_UPDATE_COMPLETED"),
    )

    found, _ = only(recorded(states, event("deploy", apps=("app",)), statuses=statuses))

    assert found.healed_s is None
    assert bounds(found.updated_s) == (11.49, 12.7)
    effect = found.deployments[KEY]
    assert (effect.least_running, effect.most_running) == (2, 3)
    assert (effect.lost, effect.starts.replicas) == ((), 3)


def test_a_deletion_is_over_when_the_last_replica_is_gone():
    found, _ = only(
        recorded({22: dict.fromkeys(FULL, "STOPPING"), 25: {}}, event("delete", name="app"))
    )

    assert bounds(found.healed_s) == (3.49, 4.7)


def test_an_update_that_is_deleted_before_it_ran_ends_there():
    states = {0: {}, 25: {"x": "STARTING"}, 30: {}}
    run = recorded(
        states,
        event("deploy", apps=("app",)),
        event("delete", at_s=28.5, index=2, name="app"),
        status=lambda _: "UPDATING",
    )

    report = analyse(run).report

    found = report.events[0]
    assert found.reason == "0 of 3 RUNNING when event 2 (delete it) took over"
    # Gone between the polls of 29 and 30 s: begun in [20.5, 20.51], it was not ready at 29.
    assert bounds(found.updated_s) == (8.49, None)
    # It was listed between the polls of 24 and 25 s.
    assert bounds(found.detect_s) == (3.49, 4.7)
    assert [one.what for one in report.changes if one.kind == "deployed"] == [
        "deployed, not ready when it was deleted"
    ]


def test_an_event_is_noticed_with_the_first_of_its_deployments():
    spans = [Span(3.3, 0.0, 6.6), Span(2.0, 1.9, 2.1)]

    assert first_of(spans) == Span(2.0, 0.0, 2.1)
    assert first_of([]) is None


def test_what_was_not_there_is_no_cause_for_requests_of_another_route():
    rows = requests(PLAN)
    names = np.array([at % 2 for at in range(rows.count)], np.int32)
    rows = msgspec.structs.replace(rows, name=names, names=("GET /", "GET /two"))
    known = {"one": ApplicationInfo(("one/D",), "/")}
    both = known | {"two": ApplicationInfo(("two/D",), "/two")}

    def able(applications, app):
        target = msgspec.structs.replace(info(PLAN).target, applications=applications)
        found = perhaps_for(rows, msgspec.structs.replace(info(PLAN), target=target), app)
        return {found.names[code] for code in set(found.name.tolist())}

    assert able(both, "two") == {"GET /two"}
    assert able(known, "two") == set()  # came with an event; the other one answers all
    assert able({"one": ApplicationInfo(("one/D",), "/one")}, "two") == {"GET /", "GET /two"}
    assert able(known, "one") == {"GET /", "GET /two"}


def test_requests_that_were_open_meanwhile_are_counted_and_explained():
    rows = requests(PLAN)
    error = np.array(rows.error)
    latency = np.array(rows.latency_s)
    error[[199, 205, 250, 600]] = 0  # due at 19.9, 20.5, 25.0 and 60.0 s
    latency[205] = 2.0
    failing = msgspec.structs.replace(rows, error=error, latency_s=latency, errors=("HTTP 500",))

    found, report = only(recorded(LOSS, KILLED, requests=failing), "event.*.failed <= 2")

    assert found.failed == 2
    assert found.slowest_ms == pytest.approx(2000)
    assert [gate.verdict for gate in report.gates] == ["pass"]
    (failure,) = [one for one in report.failures if one.index == 0]
    assert failure.notes[0] == "2 of them during event 1 (kill_replicas it)"


def test_an_event_is_no_flapping_and_no_failed_health_check_of_the_deployment():
    status = StatusChange(
        KEY,
        ZERO_S + 23.2,
        "UNHEALTHY",
        ZERO_S + 22,
        "HEALTH_CHECK_FAILED",
        "A replica's health check",
    )

    _, report = only(recorded(LOSS, KILLED, statuses=(status,)))
    _, without = only(recorded(LOSS, event("kill_proxy", at_s=70), statuses=(status,)))

    assert report.deployments[KEY].flapping.direction_reversals in (None, 0)
    assert "health_check" not in causes(report)
    assert "health_check" in causes(without)


def test_gates_name_an_event_by_its_number_or_all_of_them():
    _, report = only(
        recorded(LOSS, KILLED),
        *(
            "event.1.healed_s < 30",
            "event.*.detect_s < 1",
            "event.1.updated_s < 5",
            "event.2.failed < 1",
        ),
    )

    assert [gate.verdict for gate in report.gates] == [
        "pass",
        "fail",
        "inconclusive",
        "inconclusive",
    ]


def test_an_event_that_failed_says_so_everywhere():
    failed = msgspec.structs.replace(event("scale", name=KEY, count=9), error="it was refused: 412")

    found, report = only(recorded({}, failed))

    assert (found.healed_s, found.reason) == (None, "it was refused: 412")
    assert "not done: it was refused: 412" in event_table(report.events).rows[0][-1]
    assert b"<error" in render_junit(report)


def test_a_remark_stands_under_the_table_of_a_page_since_it_may_be_long():
    failed = msgspec.structs.replace(
        event("scale", name=KEY, count=9), error="refused: " + "x" * 99
    )

    _, report = only(recorded({}, failed))
    macros: Any = environment().get_template("macros.html.j2").module
    table, _, after = macros.table(event_table(report.events), "events").partition("</table>")

    assert "refused" not in table
    assert f"event 1: <bdi>not done: {failed.error}</bdi>" in after


def test_tables_have_a_row_an_event_and_a_row_of_starts():
    _, report = only(recorded(LOSS, KILLED))

    assert [row[0] for row in event_table(report.events).rows] == ["1"]
    assert [row[:3] for row in starts_table(report.events).rows] == [("1", KEY, "1")]
    assert event_table(()) is None


@settings(max_examples=20)
@given(
    lost_s=st.floats(21, 30),
    back_s=st.floats(31, 60),
    every_s=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_whatever_the_polls_the_truth_lies_within_the_bounds(lost_s, back_s, every_s):
    two = {"b": "RUNNING", "c": "RUNNING"}
    states = {lost_s: two | {"d": "STARTING"}, back_s: two | {"d": "RUNNING"}}

    found, _ = only(recorded(states, KILLED, every_s=every_s))

    # Polls show the state at the moment of their sending.
    assert found.detect_s.lo <= lost_s - AT_S <= found.detect_s.hi
    assert found.healed_s.lo <= back_s - AT_S <= found.healed_s.hi
    assert found.healed_s.hi - found.healed_s.lo <= every_s + ANSWER_S + 0.02
    assert found.detect_s.lo <= found.healed_s.lo
