"""A deployment that Serve hides while it builds its application anew: what is known of that time.

Polls come at whole seconds and are answered 0.2 s later. A replica is killed at 16.5 s, and the
application is deployed anew at 24.5 s: from 24 to 30 s Serve does not show it. Expected values are
reckoned by hand from that script.
"""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.analyse import analyse
from reports.analysis.lag.hidden import unhidden
from reports.analysis.lag.timeline import build_timeline
from scalelag.record.event_rows import EventRow
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import Poll, StatusChange, Transition
from scalelag.record.run_dir import RecordedRun
from tests.unit.recorded_runs import KEY, ZERO_S, info, requests

PLAN = "10rps:60s"
ANSWER_S = 0.2
FROM_S, SHOWN_S = 24, 31
KILLED_S, CAME_S, STOPPED_S, NEW_S = 16.5, 26.04, 30.5, 37.12
UPDATING = {"status": "UPDATING", "status_trigger": "CONFIG_UPDATE_STARTED"}


def states_at(at_s, came_s=CAME_S):
    """Truth: `b` was killed, `c` comes in its place; `d` and `e` of the new version replace all."""
    moments = {
        "a": ((-9, "RUNNING"), (STOPPED_S, "STOPPING"), (33, None)),
        "b": ((-9, "RUNNING"), (21, None)),
        "c": ((21, "STARTING"), (came_s, "RUNNING"), (NEW_S, "STOPPING"), (39, None)),
        "d": ((STOPPED_S, "STARTING"), (NEW_S, "RUNNING")),
        "e": ((NEW_S, "STARTING"), (40.75, "RUNNING")),
    }
    found = {}
    for name, own in moments.items():
        reached = [state for moment_s, state in own if moment_s <= at_s]
        if reached and reached[-1] is not None:
            found[name] = reached[-1]
    return found


def shown_at(at_s, came_s=CAME_S):
    deployment = {
        "target_num_replicas": 2,
        "replicas": [
            {"replica_id": name, "state": state, "node_id": None if state == "STARTING" else "n"}
            for name, state in states_at(at_s, came_s).items()
        ],
        "status": "HEALTHY",
        "status_trigger": "CONFIG_UPDATE_COMPLETED",
    }
    if SHOWN_S <= at_s < 41:
        deployment |= UPDATING
    hidden = FROM_S <= at_s < SHOWN_S
    app = {
        "status": "DEPLOYING" if hidden else "RUNNING",
        "deployments": {} if hidden else {"Model": deployment},
    }
    return msgspec.json.encode({"applications": {"app": app}})


def line(kind, at_s, replica):
    return LogEvent(kind, ZERO_S + at_s, 0.001, "n", "...", KEY, replica)


def lines(came_s=CAME_S):
    return (
        line("starting", 21, "c"),
        line("started", came_s, "c"),
        line("stopping", STOPPED_S, "a"),
        line("starting", STOPPED_S + 0.01, "d"),
        line("stopped", 33, "a"),
        line("started", NEW_S, "d"),
        line("stopping", NEW_S, "c"),
        line("starting", NEW_S + 0.01, "e"),
        line("stopped", 39, "c"),
        line("started", 40.75, "e"),
    )


def event(index, kind, at_s, **more):
    begun_s = ZERO_S + at_s
    return EventRow(index, kind, f"{kind} it", begun_s, begun_s, begun_s + 0.01, **more)


EVENTS = (
    event(1, "kill_replicas", KILLED_S, name=KEY, count=1, lost=("b",)),
    event(2, "deploy", 24.5, name="new.yaml", apps=("app",)),
)


def recorded(events=(), came_s=CAME_S):
    tracker, rows = ReplicaTracker(frozenset({KEY})), []
    for second in range(60):
        payload = parse_payload(shown_at(second, came_s))
        rows += tracker.rows(payload, ZERO_S + second, ZERO_S + second + ANSWER_S)
    return RecordedRun(
        info=info(PLAN, planned_requests=600),
        requests=requests(PLAN),
        polls=tuple(row for row in rows if isinstance(row, Poll)),
        transitions=tuple(row for row in rows if isinstance(row, Transition)),
        statuses=tuple(row for row in rows if isinstance(row, StatusChange)),
        gaps=(),
        restarts=(),
        problems=(),
        events=events,
        run_events=EVENTS,
    )


def timeline_of(run):
    return build_timeline(KEY, run.polls, run.transitions, run.events, run.info.clock)


def life_of(run, name):
    return next(life for life in timeline_of(run).replicas if life.replica == name)


def test_what_changed_while_it_was_hidden_did_so_since_the_last_poll_that_showed_it():
    rows = [row for row in recorded().transitions if row.hi_s == ZERO_S + SHOWN_S + ANSWER_S]

    assert {row.replica: row.lo_s - ZERO_S for row in rows} == {"a": 23, "c": 23, "d": 23}


def test_an_update_that_ends_the_hiding_lies_behind_the_last_poll_that_hid_it():
    (row,) = [row for row in recorded().statuses if row.status == "UPDATING"]

    assert (row.lo_s - ZERO_S, row.hi_s - ZERO_S) == pytest.approx((30, SHOWN_S + ANSWER_S))


def test_records_that_say_the_last_poll_are_read_as_those_that_say_the_last_that_showed_it():
    new = recorded()
    late = ZERO_S + SHOWN_S - 1
    old = msgspec.structs.replace(
        new,
        transitions=tuple(
            msgspec.structs.replace(row, lo_s=late)
            if row.hi_s == ZERO_S + SHOWN_S + ANSWER_S
            else row
            for row in new.transitions
        ),
    )

    assert unhidden(old) == unhidden(new)


def test_a_probe_that_is_started_anew_still_knows_when_it_was_shown():
    first, again, rows = ReplicaTracker(frozenset({KEY})), ReplicaTracker(frozenset({KEY})), []
    for second in range(28):
        rows += first.rows(parse_payload(shown_at(second)), second, second + ANSWER_S)
    again.begin(parse_payload(shown_at(0)), -1.0)
    again.resume(rows)
    for second in range(28, 32):
        rows += again.rows(parse_payload(shown_at(second)), second, second + ANSWER_S)

    (row,) = [row for row in rows if isinstance(row, Transition) and row.to_state == "STOPPING"]
    assert (row.replica, row.lo_s) == ("a", 23)


def test_lines_of_logs_tell_what_polls_do_not_show():
    told = unhidden(recorded(lines()))
    timeline = timeline_of(told)

    assert [poll.running for poll in timeline.polls if 23 <= poll.sent_s - ZERO_S <= 31] == [
        *[1] * 4,  # 23 to 26: until 26.04
        *[2] * 4,  # 27 to 30: until 30.5
        1,
    ]
    assert timeline.hidden == ()
    assert timeline.contradictions == ()
    assert life_of(told, "c").running.mid_s - ZERO_S == pytest.approx(CAME_S)


def test_a_place_comes_before_the_replica_runs():
    placed = life_of(unhidden(recorded(lines())), "c").allocated

    assert (placed.lo_s - ZERO_S, placed.hi_s - ZERO_S) == pytest.approx((23, 27 + ANSWER_S))


def test_without_all_lines_it_stays_hidden():
    run = recorded(tuple(one for one in lines() if (one.kind, one.replica) != ("stopping", "a")))
    timeline = timeline_of(unhidden(run))

    (hidden,) = timeline.hidden
    assert (hidden.from_s - ZERO_S, hidden.to_s - ZERO_S) == pytest.approx((23, 31.2))
    assert not [poll for poll in timeline.polls if 23 < poll.sent_s - ZERO_S < 31]


def test_a_replica_that_comes_while_it_is_hidden_heals_when_its_line_says():
    report = analyse(recorded(lines())).report
    healed = report.events[0].healed_s

    assert healed.value == pytest.approx(CAME_S - KILLED_S, abs=0.02)
    assert report.events[0].deployments[KEY].starts.replicas == 1
    assert [one for one in report.warnings if "contradict" in one] == []


def test_without_lines_it_may_have_been_whole_since_it_was_hidden():
    killed = analyse(recorded()).report.events[0]

    assert killed.healed_s.lo <= CAME_S - KILLED_S
    assert killed.healed_s.upper >= CAME_S - KILLED_S
    # The last poll that showed one of two was sent at 23; the event was over at 16.51.
    assert killed.healed_s.lo == pytest.approx(23 - 16.51)
    assert "Serve did not show it from 23.0 to 31.2 s" in killed.reason


def test_the_time_in_which_nobody_saw_it_is_no_part_of_the_ratio():
    ratio = analyse(recorded()).report.deployments[KEY].running_over_target

    # 1 of 2 from 21.2 to 24.2 s and from 31.2 to 41.2 s; 59.2 s less the 7 hidden ones.
    assert ratio.mean == pytest.approx(1 - 13 * 0.5 / (59.2 - 0.2 - 7), abs=0.01)


@settings(max_examples=8, deadline=None)
@given(came_s=st.floats(21.1, 30.4), logged=st.booleans())
def test_whenever_it_came_the_truth_lies_within_the_bounds(came_s, logged):
    killed = analyse(recorded(lines(came_s) if logged else (), came_s)).report.events[0]

    assert killed.healed_s.lo <= came_s - KILLED_S + 0.02
    assert killed.healed_s.upper >= came_s - KILLED_S - 0.02
    if logged:  # also where it runs for less time than lies between two polls
        assert killed.healed_s.value == pytest.approx(came_s - KILLED_S, abs=0.02)


def test_the_charts_mark_the_time_in_which_it_is_not_known():
    def marked(run):
        return [band.what for band in analyse(run).charts.unseen]

    assert marked(recorded()) == [f"Serve did not show {KEY}"]
    assert marked(recorded(lines())) == []


def test_replicas_of_a_new_version_replace_none_of_those_that_an_earlier_event_took():
    killed, updated = analyse(recorded()).report.events

    assert killed.deployments[KEY].starts.replicas == 1
    assert killed.deployments[KEY].critical_replica is None
    assert "RUNNING when event 2 (deploy it) took over" in killed.reason
    assert updated.deployments[KEY].starts.replicas == 2
    # The update was noticed between the polls of 30 and 31 s, and over between 40 and 41.2 s.
    assert (updated.updated_s.lo, updated.updated_s.hi) == pytest.approx((15.49, 16.7))
