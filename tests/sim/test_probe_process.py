"""The probe's own process: it may be killed or stopped, and it never outlives its run."""

import os
import signal
import time

import psutil
import pytest

from scalelag.observer.pulse import HELD_UP_S
from scalelag.record.rows import PROBE_ENDED, PROBE_HELD_UP
from scalelag.record.run_dir import REPLICAS_FILE
from tests.support.locust_page import page_on_standin
from tests.support.locust_run import assert_ran, sent_to, started
from tests.support.processes import MARK, marked
from tests.support.waiting import wait_for

DEADLINE_S = 60.0
MODULE = b"scalelag.observer.main"


def observers(mark: str) -> list[int]:
    """Process ids of the observers that were started under `mark`."""
    return [pid for pid, command in marked(mark).items() if MODULE in command]


def the_observer(mark: str, other_than: int = 0) -> int:
    def found() -> int:
        return next((pid for pid in observers(mark) if pid != other_than), 0)

    return wait_for(found, "a probe process", DEADLINE_S)


def polls(locust) -> int:
    """Number of polls on record so far."""
    file = locust.path / REPLICAS_FILE if locust.path else None
    return file.read_bytes().count(b'"type":"poll"') if file and file.exists() else 0


def await_polls(locust, more: int) -> None:
    before = polls(locust)
    wait_for(lambda: polls(locust) >= before + more, f"{more} more polls", DEADLINE_S)


def assert_none_is_left(mark: str) -> None:
    wait_for(lambda: not marked(mark), "the end of every process", DEADLINE_S)


@pytest.mark.long
def test_killed_in_mid_run_it_is_started_again_and_the_gap_is_on_record(target, tmp_path):
    # So long that the gaps are no fifth of it: the run is valid.
    mark = f"{tmp_path}"
    with started(tmp_path, *target, "--steps", "20rps:24s", environment={MARK: mark}) as locust:
        await_polls(locust, 3)
        first = the_observer(mark)
        os.kill(first, signal.SIGKILL)
        second = the_observer(mark, other_than=first)
        await_polls(locust, 3)
        os.kill(second, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(second).status() == psutil.STATUS_STOPPED, "its stop")
        stopped_s = time.monotonic()
        wait_for(lambda: time.monotonic() > stopped_s + HELD_UP_S + 1.0, "a stop of some seconds")
        os.kill(second, signal.SIGCONT)
        run = locust.wait()

    assert_ran(run)
    assert run.info["status"] == "complete"
    reasons = [gap.reason for gap in run.recorded.gaps]
    assert reasons.count(f"{PROBE_ENDED} (SIGKILL)") == 1
    assert {*reasons} == {
        f"{PROBE_ENDED} (SIGKILL)",
        PROBE_HELD_UP,
    }  # a busy machine holds it up, too
    assert all(gap.to_s > gap.from_s for gap in run.recorded.gaps)
    assert len(run.recorded.transitions) == 1  # the replica is not told of a second time
    assert run.report["probe"]["gaps"] == len(reasons)
    assert_none_is_left(mark)


def test_it_ends_with_a_leader_that_is_killed(target, tmp_path):
    mark = f"{tmp_path}"
    with started(tmp_path, *target, "--steps", "5rps:60s", environment={MARK: mark}) as locust:
        await_polls(locust, 1)
        assert len(observers(mark)) == 1
        locust.process.kill()
        locust.process.wait()

        assert_none_is_left(mark)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        *(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGTERM, signal.SIGHUP)),
    ],
)
def test_it_ends_with_a_run_that_is_interrupted(target, echo, tmp_path, number):
    mark = f"{tmp_path}"
    with started(tmp_path, *target, "--steps", "20rps:60s", environment={MARK: mark}) as locust:
        wait_for(lambda: sent_to(echo), "a request", DEADLINE_S)
        # As from a terminal: the whole group has the signal, and the probe goes on to the end.
        os.killpg(locust.process.pid, number)
        run = locust.wait()

    assert run.info["status"] == "interrupted"
    assert run.recorded.gaps == ()
    assert_none_is_left(mark)


def test_a_refused_run_leaves_no_process(target, tmp_path):
    mark, out = f"{tmp_path}", tmp_path / "no folder"
    out.write_text("a file")
    with started(tmp_path, *target, out=out, environment={MARK: mark}) as locust:
        assert locust.process.wait(DEADLINE_S) == 1

        assert_none_is_left(mark)


@pytest.mark.long
def test_on_the_page_each_run_has_one_and_none_stays(tmp_path, monkeypatch, until):
    mark = f"{tmp_path}"
    monkeypatch.setenv(MARK, mark)
    with page_on_standin(tmp_path) as web:
        for number in (1, 2):
            web.start(steps="20rps:60s")
            until(web.is_sending, DEADLINE_S, "load under way")
            until(lambda: web.live()["probe"]["polls"] >= 2, DEADLINE_S, "polls on the page")
            assert len(observers(mark)) == 1
            web.stop()
            until(lambda number=number: len(web.runs()) == number, DEADLINE_S, "the run closed")
            until(lambda: not observers(mark), DEADLINE_S, "the end of its probe process")
