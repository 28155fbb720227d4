"""A simulated client that gives up, and a router that is full, against numbers worked out by hand."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from reports.whatif.agenda import Agenda
from reports.whatif.replica import Replica
from reports.whatif.router import Router
from reports.whatif.scenario import Users
from reports.whatif.simulate import NOT_SENT, OK, REJECTED, TIMED_OUT
from tests.unit.simulation_cases import T0, Planned, arrivals, run, scenario

ONE_SLOT = {"max_ongoing_requests": 1}


def sampled(autoscaler: Planned) -> Callable[[float, float], tuple[set[float], set[float]]]:
    """Values of the queue and of the first replica that the handle pushed, by seconds of the sample."""
    queued = {
        at_s - T0: value
        for report in autoscaler.reports
        for at_s, value in zip(*report.queued, strict=True)
    }
    running = {
        at_s - T0: value
        for report in autoscaler.reports
        for at_s, value in zip(*report.running["r0"], strict=True)
    }

    def between(from_s: float, to_s: float) -> tuple[set[float], set[float]]:
        return (
            {value for at_s, value in queued.items() if from_s < at_s < to_s},
            {value for at_s, value in running.items() if from_s < at_s < to_s},
        )

    return between


def test_requests_leave_the_queue_and_the_count_of_a_replica_when_the_client_gives_up():
    # One slot, work of 10 s, time-out after 4 s: one runs, two wait.
    autoscaler = Planned({})
    made = scenario(arrivals(0.0, 2.0, 3.0), work_s=10.0, timeout_s=4.0, config=ONE_SLOT)

    found = run(made, autoscaler)

    assert found.error.tolist() == [TIMED_OUT] * 3
    assert found.latency_s.tolist() == pytest.approx([4.0] * 3)
    at = sampled(autoscaler)
    assert at(0.0, 2.0) == ({0.0}, {1.0})
    assert at(2.0, 3.0) == ({1.0}, {1.0})
    assert at(3.0, 4.0) == ({2.0}, {1.0})
    assert at(4.0, 6.0) == ({2.0}, {0.0})
    assert at(6.0, 7.0) == ({1.0}, {0.0})
    assert at(7.0, 20.0) == ({0.0}, {0.0})


def test_a_request_that_was_given_up_keeps_its_slot_until_its_work_ends():
    # The second comes at 9.0, tries in vain up to 9.793 s, and again at 9.796 + 0.5 s.
    autoscaler = Planned({})
    made = scenario(arrivals(0.0, 9.0), work_s=10.0, timeout_s=4.0, config=ONE_SLOT)

    found = run(made, autoscaler)

    at = sampled(autoscaler)
    assert at(4.0, 9.0) == ({0.0}, {0.0})
    assert at(9.0, 10.296) == ({1.0}, {0.0})
    assert at(10.296, 13.0) == ({0.0}, {1.0})
    assert found.error.tolist() == [TIMED_OUT] * 2


def test_a_long_overload_leaves_no_more_open_than_come_within_the_time_out():
    # 20 requests/s for 20 s, one slot that serves 1/s: without a time-out 380 would be open.
    autoscaler = Planned({})
    load = arrivals(*np.arange(0.0, 20.0, 0.05))

    found = run(scenario(load, timeout_s=5.0, config=ONE_SLOT), autoscaler)

    most = max(value for report in autoscaler.reports for value in report.queued.values)
    assert 90 <= most <= 100
    assert np.count_nonzero(found.error == TIMED_OUT) > 370
    assert np.nanmax(found.latency_s) == pytest.approx(5.0)
    assert sampled(autoscaler)(25.0, 30.0) == ({0.0}, {0.0})


def test_a_queue_and_a_load_generator_have_room_again_for_each_that_was_given_up():
    queue = {"max_ongoing_requests": 1, "max_queued_requests": 1}
    queueing = scenario(arrivals(0.0, 1.0, 2.0, 4.5), work_s=10.0, timeout_s=3.0, config=queue)
    limited = scenario(arrivals(0.0, 1.0, 2.5), work_s=10.0, timeout_s=2.0, max_in_flight=1)

    assert run(queueing).error.tolist() == [TIMED_OUT, TIMED_OUT, REJECTED, TIMED_OUT]
    assert run(limited).error.tolist() == [TIMED_OUT, NOT_SENT, TIMED_OUT]


def test_a_user_sends_the_next_request_after_a_time_out():
    load = Users((T0, T0 + 2.0), (1, 0), 0.25, ("/",), np.zeros(1, np.int32))

    found = run(scenario(load, timeout_s=0.5))

    assert (found.at_s - T0).tolist() == pytest.approx([0.0, 0.75, 1.5])
    assert found.error.tolist() == [TIMED_OUT] * 3


def test_a_replica_that_drains_does_not_wait_for_what_was_given_up():
    made = scenario(arrivals(0.0), work_s=20.0, sharing=1.0, timeout_s=2.0)

    found = run(made, Planned({1.0: 0}))

    (life,) = found.lives
    assert (life.gone_s or 0) - (life.stopping_s or 0) == pytest.approx(2.0 + 0.5)
    assert found.error.tolist() == [TIMED_OUT]


def test_requests_are_awaited_beyond_the_end_and_the_controller_is_not_watched_there():
    # What came at 29.5 s takes 1 s; the other finds room at 30.896 s, too late for its 2 s.
    made = scenario(arrivals(29.5, 29.6), to_s=30.0, timeout_s=2.0, config=ONE_SLOT)

    found = run(made, Planned({30.2: 3}))

    assert found.error.tolist() == [OK, TIMED_OUT]
    assert found.latency_s.tolist() == pytest.approx([1.0, 2.0])
    assert found.decisions == ()
    assert len(found.lives) == 1


def full_router(slots: int, work_s: float) -> tuple[Agenda, Router, Replica]:
    """A router and the only replica, which it does not know yet."""
    agenda = Agenda(0.0)
    replica = Replica("r0", agenda, 0.0, lambda _: None)
    chance = random.Random(1)
    return agenda, Router(agenda, slots, chance, lambda one, n: one.start(n, work_s)), replica


def test_rejected_requests_are_queued_again_when_the_proxy_has_read_that():
    # Three are sent and their replies read, 3 ms each; 3 ms on the way.
    agenda, router, replica = full_router(slots=1, work_s=1e6)
    for request in range(3):
        router.take(request)
    router.set_replicas([replica])

    waiting = []
    for at_s in (0.0119, 0.0121):
        agenda.run_until(at_s)
        waiting.append(list(router.waiting))

    assert waiting == [[], [1, 2]]
    assert router.queued == 2


def test_a_rejected_request_that_is_given_up_is_not_queued_again():
    agenda, router, replica = full_router(slots=1, work_s=1e6)
    for request in range(3):
        router.take(request)
    router.set_replicas([replica])

    router.drop_oldest(1)
    agenda.run_until(0.1)

    assert list(router.waiting) == [2]


def test_a_request_that_comes_while_others_are_rejected_is_sent_if_the_replica_says_that_it_has_room():
    # One of three is accepted, and ends after 4 ms; the others are queued again after 12 ms. By the
    # router's own count they are on the replica. One that comes at 5 ms asks it, for 3 ms.
    agenda, router, replica = full_router(slots=1, work_s=0.004)
    for request in range(3):
        router.take(request)
    router.set_replicas([replica])
    agenda.run_until(0.005)
    assert (replica.ongoing, replica.believed) == (0, 2)
    router.take(3)

    ongoing = []
    for at_s in (0.0079, 0.0081):
        agenda.run_until(at_s)
        ongoing.append((replica.ongoing, replica.believed))

    assert ongoing == [(0, 2), (1, 1)]
    assert not router.waiting


def test_of_two_replicas_that_seem_full_the_less_busy_one_that_answers_gets_the_request():
    agenda = Agenda(0.0)
    first, second = (Replica(name, agenda, 0.0, lambda _: None) for name in ("r0", "r1"))
    router = Router(agenda, 2, random.Random(1), lambda one, n: one.start(n, 1.0))
    first.believed, second.believed = 2, 2
    first.start(7, 1.0)
    router.set_replicas([first, second])
    router.take(8)

    agenda.run_until(0.0031)

    assert (first.ongoing, second.ongoing) == (1, 1)
    assert (first.believed, second.believed) == (1, 1)


def test_a_queue_older_than_the_requests_of_both_tasks_is_served_two_in_a_pause():
    # Of 40 sent at once 10 are accepted. Until the others are queued again, after 123 ms, two younger
    # ones come, at 10 and 11 ms, and their tasks try in vain up to 0.804 s, and again from 1.306 s on.
    agenda, router, replica = full_router(slots=10, work_s=1.0)
    for request in range(40):
        router.take(request)
    router.set_replicas([replica])
    for request, at_s in ((40, 0.010), (41, 0.011)):
        agenda.run_until(at_s)
        router.take(request)

    left = []
    for at_s in (1.0, 1.4, 1.9, 2.4, 2.9):
        agenda.run_until(at_s)
        left.append(router.queued)

    assert left == [32, 30, 28, 26, 24]
