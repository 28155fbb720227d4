"""Sockets that the loop watches, and timers, in a real loop."""

import time

import gevent
import gevent.socket
import pytest
from gevent import get_hub

from scalelag.users.engine.sockets import WatchedSocket
from scalelag.users.engine.timer import Alarm, Timeouts

DEADLINE_S = 10.0


@pytest.fixture
def pair():
    ours, theirs = gevent.socket.socketpair()
    watched = WatchedSocket(ours)
    yield watched, theirs
    watched.close()
    theirs.close()


def received(sock, size=100):
    with gevent.Timeout(DEADLINE_S):
        return sock.recv(size)


def test_what_comes_is_read_when_it_comes(pair):
    watched, other = pair
    reading = gevent.spawn(received, watched)
    gevent.sleep(0)
    assert not reading.ready()

    other.send(b"one")

    assert reading.get(timeout=DEADLINE_S) == b"one"
    assert not watched.is_readable()


def test_what_came_before_it_was_asked_for_is_read_later_in_pieces(pair):
    watched, other = pair
    other.send(b"onetwo")
    gevent.sleep(0.01)

    assert watched.is_readable()
    assert [received(watched, 3), received(watched, 3)] == [b"one", b"two"]


def test_the_loop_is_not_told_again_and_again_of_what_nobody_reads(pair):
    watched, other = pair
    other.close()
    gevent.sleep(0.01)
    before = get_hub().loop.iteration

    gevent.sleep(0.05)

    assert get_hub().loop.iteration - before < 10
    assert watched.is_readable()
    assert received(watched) == b""


def test_a_greenlet_that_is_timed_out_is_not_woken_by_what_comes_later(pair):
    watched, other = pair
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        watched.recv(100)

    other.send(b"late")
    gevent.sleep(0.01)

    assert received(watched) == b"late"


def test_a_closed_one_may_be_closed_again(pair):
    watched, _ = pair

    watched.close()
    watched.close()

    assert watched.fileno() == -1


def test_an_alarm_that_nobody_waits_for_any_more_rings_once():
    alarm = Alarm()
    waiting = gevent.spawn(alarm.wait, 0.03)
    gevent.sleep(0)
    waiting.kill()
    try:
        gevent.sleep(0.05)
        before = get_hub().loop.iteration
        gevent.sleep(0.05)

        assert get_hub().loop.iteration - before < 10
    finally:
        alarm.close()


@pytest.fixture
def timeouts():
    made = Timeouts()
    yield made
    made.close()


def test_each_time_out_comes_after_its_own_time(timeouts):
    for seconds in (0.05, 0.02, 0.1):
        begun_s = time.monotonic()
        timeouts.begin(seconds)
        with pytest.raises(gevent.Timeout, match=f"{seconds} seconds"):
            gevent.sleep(DEADLINE_S)
        timeouts.end()

        assert time.monotonic() - begun_s >= seconds


def test_one_that_ended_leaves_the_next_its_whole_time(timeouts):
    timeouts.begin(0.05)
    timeouts.end()
    gevent.sleep(0.03)
    begun_s = time.monotonic()
    timeouts.begin(0.1)

    with pytest.raises(gevent.Timeout):
        gevent.sleep(DEADLINE_S)

    assert time.monotonic() - begun_s >= 0.1


def test_after_the_last_one_nothing_comes(timeouts):
    timeouts.begin(0.01)
    timeouts.end()

    gevent.sleep(0.05)
