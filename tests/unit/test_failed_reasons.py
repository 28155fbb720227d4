"""One reason for each failed request of a step, the most specific one."""

import re

import msgspec
import numpy as np
import pytest

from reports.analysis.analyse import analyse
from reports.model.causes import FailureReport
from scalelag.record.error_kinds import IN_FLIGHT_LIMIT, http_status
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import Poll
from scalelag.record.run_dir import RecordedRun
from tests.unit.event_cases import LOSS, PLAN, event, recorded
from tests.unit.recorded_runs import KEY, requests

GONE = {40: {}}
"""Polls are sent each second: the deployment is gone between 39 and 40.2 s."""
DELETED = event("delete", 39.5, name="app")


def failing(*due_s: float, kind: str = "HTTP 404", latency_s: float = 0.05) -> RequestColumns:
    """Ten requests a second, of which those due at these seconds fail."""
    rows = requests(PLAN)
    error, latency = np.array(rows.error), np.array(rows.latency_s)
    chosen = [round(10 * at_s) for at_s in due_s]
    error[chosen], latency[chosen] = 0, latency_s
    return msgspec.structs.replace(rows, error=error, latency_s=latency, errors=(kind,))


def seconds_from(from_s: float, to_s: float) -> list[float]:
    return [n / 10 for n in range(round(10 * from_s), round(10 * to_s))]


def failures_of(run: RecordedRun) -> tuple[FailureReport, ...]:
    return analyse(run).report.failures


def named(failure: FailureReport) -> list[int]:
    """Numbers of requests that notes give as their own."""
    return [
        int(found[0])
        for note in failure.notes
        if (found := re.match(r"\d+", note)) and "of them within" not in note
    ]


def test_what_an_event_deleted_has_one_reason_which_names_both():
    run = recorded(GONE, DELETED, requests=failing(30.0, *seconds_from(41, 43)))

    (failure,) = failures_of(run)

    why = f"{KEY} was deleted at 39.6 s (event 1: delete it): nothing was there to answer them"
    assert failure.notes == (f"20 failed because {why}", "1 other: no cause found")
    assert sum(named(failure)) == failure.count == 21


def test_a_deletion_during_another_event_keeps_its_own_reason():
    killed = event("kill_replicas", 39.5, name=KEY, count=1, lost=("a",))
    run = recorded(GONE, killed, requests=failing(39.6, *seconds_from(41, 43)))

    (failure,) = failures_of(run)

    told = [note.partition(" because ")[0] for note in failure.notes]
    assert "(event" not in failure.notes[0]
    assert told[0] == "21 failed"
    assert sum(named(failure)) == failure.count


def test_what_was_open_before_a_deletion_is_of_the_event():
    """Due at 38.8 s, before the deployment was seen for the last time, and open when it went."""
    run = recorded(GONE, DELETED, requests=failing(38.8, 41.0, latency_s=2.0))

    (failure,) = failures_of(run)

    assert [note.partition(" (event")[0] for note in failure.notes] == [
        f"1 failed because {KEY} was deleted at 39.6 s",
        "1 of them during event 1 (delete it)",
    ]


def test_two_deployments_that_went_together_are_one_reason():
    other = "app/Second"
    run = beside(recorded(GONE, DELETED, requests=failing(*seconds_from(41, 43))), other)

    (failure,) = failures_of(run)

    why = f"{KEY} and {other} were deleted at 39.6 s (event 1: delete it)"
    assert failure.notes == (f"20 failed because {why}: nothing was there to answer them",)


def beside(run: RecordedRun, other: str) -> RecordedRun:
    """The run with another deployment that polls show like the first one, watched as well."""
    target = msgspec.structs.replace(
        run.info.target,
        deployments={**run.info.target.deployments, other: run.info.target.deployments[KEY]},
        watched=(KEY, other),
    )
    return msgspec.structs.replace(
        run,
        info=msgspec.structs.replace(run.info, target=target),
        polls=tuple(_both(poll, other) for poll in run.polls),
        transitions=(
            *run.transitions,
            *(msgspec.structs.replace(row, deployment=other) for row in run.transitions),
        ),
    )


def _both(poll: Poll, other: str) -> Poll:
    shown = poll.deployments.get(KEY)
    both = poll.deployments | ({} if shown is None else {other: shown})
    return msgspec.structs.replace(poll, deployments=both)


@pytest.mark.parametrize("kind", ["HTTP 503", "HTTP 408", "back-pressure"])
def test_a_kind_explains_only_what_nothing_else_does(kind: str):
    rows = failing(30.0, 30.1, *seconds_from(41, 43), kind=kind)

    (failure,) = failures_of(recorded(GONE, DELETED, requests=rows))

    assert named(failure) == [20, 2]
    assert sum(named(failure)) == failure.count


def test_two_events_share_no_request():
    first = event("kill_replicas", name=KEY, count=1, lost=("a",))
    second = event("kill_replicas", 22.0, index=2, name=KEY, count=1, lost=("b",))
    run = recorded(LOSS, first, second, requests=failing(*seconds_from(21, 29), 70.0))

    (failure,) = failures_of(run)

    assert sum(named(failure)) == failure.count == 81


def test_requests_of_the_step_before_and_those_never_sent_are_not_counted_again():
    """Of an event across two steps each has its own; what was not sent is no failed request here."""
    rows = failing(*seconds_from(21, 29))
    error = np.array(rows.error)
    error[300:310] = 1
    rows = msgspec.structs.replace(rows, error=error, errors=("HTTP 500", IN_FLIGHT_LIMIT))
    killed = event("kill_replicas", name=KEY, count=1, lost=("a",))
    run = recorded({}, killed, requests=rows)

    (failure,) = failures_of(run)

    assert failure.notes == ("80 of them during event 1 (kill_replicas it)",)
    assert failure.count == 80


def test_the_answers_of_a_proxy_have_one_note_whatever_is_watched():
    rows = failing(*seconds_from(41, 43), kind=http_status(502))
    run = beside(recorded(LOSS, requests=rows), "app/Second")

    (failure,) = failures_of(run)

    assert failure.notes[0].startswith("20 x HTTP 502: ")
    assert named(failure) == [20]
