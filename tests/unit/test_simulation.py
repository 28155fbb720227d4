"""Simulated replicas, router and controller against outcomes that can be worked out by hand."""

import random

import msgspec
import numpy as np
import pytest

from reports.analysis.elasticity.staircase import Staircase
from reports.whatif.agenda import Agenda
from reports.whatif.replica import Replica
from reports.whatif.router import Router
from reports.whatif.service_times import ServiceTimes, service_times
from reports.whatif.simulate import KILLED, NOT_SENT, OK, REJECTED, TIMED_OUT
from scalelag.record.requests_file import RequestColumns
from tests.unit.simulation_cases import T0, Planned, arrivals, run, scenario, users


def test_requests_that_only_wait_do_not_slow_each_other_down():
    found = run(scenario(arrivals(0.0, 0.2, 0.4)))

    assert found.latency_s.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_requests_that_share_a_core_finish_as_processor_sharing_has_it():
    # Work of 1 s each, at 0.0 and 0.5 s: alone for 0.5, both at half the rate for 1.0, alone for 0.5.
    found = run(scenario(arrivals(0.0, 0.5), sharing=1.0))

    assert (found.at_s + found.latency_s - T0).tolist() == pytest.approx([1.5, 2.0])


def test_with_some_sharing_two_requests_are_slowed_down_by_that_much():
    found = run(scenario(arrivals(0.0, 0.0), sharing=0.5))

    assert found.latency_s.tolist() == pytest.approx([1.5, 1.5])


def test_a_request_beyond_max_ongoing_waits_for_a_pause_of_the_router():
    # One slot: the second waits. It asks for 3 ms each at 0, 3, 31, 84, 187, 390, 793 ms; each pause
    # begins with an answer. The slot is free at 1 s, and the pause over at 796 + 500 ms.
    found = run(scenario(arrivals(0.0, 0.0), config={"max_ongoing_requests": 1}))

    assert found.latency_s.tolist() == pytest.approx([1.0, 1.296 + 1.0])


def test_a_full_queue_rejects_and_a_full_load_generator_does_not_send():
    rejecting = scenario(
        arrivals(0.0, 0.1, 0.2),
        config={"max_ongoing_requests": 1, "max_queued_requests": 1},
    )
    limited = scenario(arrivals(0.0, 0.1, 0.2), max_in_flight=2)

    assert run(rejecting).error.tolist() == [OK, OK, REJECTED]
    assert run(limited).error.tolist() == [OK, OK, NOT_SENT]


def test_a_request_that_is_not_answered_in_time_fails_at_its_limit():
    found = run(scenario(arrivals(0.0), timeout_s=0.4))

    assert found.error.tolist() == [TIMED_OUT]
    assert found.latency_s.tolist() == pytest.approx([0.4])


def test_a_decision_starts_replicas_that_serve_when_they_run():
    found = run(scenario(arrivals(0.0), to_s=20.0), Planned({2.0: 3}))

    (decision,) = found.decisions
    assert (decision.before, decision.after) == (1, 3)
    assert decision.at_s - T0 == pytest.approx(2.05, abs=0.06)
    running = sorted(life.running_s or 0.0 for life in found.lives)
    assert [at_s - decision.at_s for at_s in running[1:]] == pytest.approx([3.0, 3.0])


def test_a_stopped_replica_drains_and_one_that_starts_goes_first():
    found = run(scenario(arrivals(0.0), to_s=20.0), Planned({1.0: 3, 5.0: 4, 6.0: 2}))

    stopped = {life.name: life for life in found.lives if life.stopping_s is not None}
    first, newest = stopped["r3"], stopped["r2"]
    assert first.running_s is None
    assert newest.running_s is not None
    assert (newest.gone_s or 0) - (newest.stopping_s or 0) == pytest.approx(2.5)


def test_a_replica_that_is_busy_for_too_long_is_killed_with_its_requests():
    made = scenario(
        arrivals(0.0),
        work_s=20.0,
        sharing=1.0,
        to_s=25.0,
        config={"graceful_shutdown_timeout_s": 4.0},
    )

    found = run(made, Planned({1.0: 0}))

    assert found.error.tolist() == [KILLED]
    assert found.latency_s.tolist() == pytest.approx([1.05 + 4.0], abs=0.06)


def test_requests_for_no_replica_wait_until_one_runs_and_are_pushed_at_once():
    autoscaler = Planned({0.0: 1})
    made = scenario(arrivals(0.33), replicas=0, target=0)

    found = run(made, autoscaler)

    assert found.latency_s[0] == pytest.approx(3.0 + 1.0 - 0.33, abs=0.11)
    assert any(one.at_s == T0 + 0.33 for one in autoscaler.reports)


def test_users_send_what_those_of_the_record_sent():
    made = scenario(users(pause_s=0.05, mix=(0, 1, 1, 1)), to_s=20.0)
    works_s = (np.full(3, 0.05), np.full(3, 0.45))
    service = msgspec.structs.replace(made.service, works_s=works_s)

    found = run(msgspec.structs.replace(made, service=service))

    assert np.mean(found.name) == pytest.approx(0.75, abs=0.12)
    assert np.allclose(found.latency_s, np.where(found.name == 1, 0.45, 0.05), atol=0.001)


def test_users_send_one_request_after_another():
    load = users(pause_s=0.25)

    found = run(scenario(load, to_s=20.0))

    assert found.at_s.size == 4 * 8  # a round of 1.25 s in 10 s
    assert set(found.error) == {OK}


def test_a_handle_samples_and_pushes_what_is_queued_and_running():
    autoscaler = Planned({})
    made = scenario(arrivals(0.5, 0.5, 0.5), work_s=10.0, config={"max_ongoing_requests": 2})

    run(made, autoscaler)

    (report,) = [one for one in autoscaler.reports if abs(one.at_s - T0 - 3.0) < 1e-6]
    # Every 1 s: min(0.2 * 5 s, 1 s), from within 1 s of the beginning on, at T0 - 1 s.
    at_s = np.array(report.queued.at_s) - T0
    assert -1 <= at_s[0] < 0
    assert np.diff(at_s) == pytest.approx([1.0] * (len(at_s) - 1))
    assert 3 >= at_s[-1] > 2
    assert report.queued.values == (at_s >= 0.5).tolist()
    assert report.running["r0"].values == (2.0 * (at_s >= 0.5)).tolist()


def test_samples_and_pushes_are_not_in_step_in_every_repetition():
    made = scenario(arrivals(0.5), work_s=10.0)

    since_s = set()
    for seed in range(5):
        autoscaler = Planned({})
        run(made, autoscaler, seed)
        last = autoscaler.reports[-1]
        since_s.add(round(last.at_s - last.queued.at_s[-1], 3))

    assert len(since_s) == 5
    assert all(0 <= one < 1 for one in since_s)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    works = ServiceTimes((np.linspace(0.1, 2.0, 50),), 0.0, 1.0, varied=True, requests=50)
    made = msgspec.structs.replace(scenario(arrivals(*np.arange(0, 9, 0.1))), service=works)

    first, again, other = (run(made, seed=seed) for seed in (3, 3, 4))

    assert first.latency_s.tolist() == again.latency_s.tolist()
    assert first.latency_s.tolist() != other.latency_s.tolist()


def test_the_choice_of_two_keeps_replicas_even():
    agenda = Agenda(0.0)
    ended: list[int] = []
    replicas = [Replica(f"r{n}", agenda, 0.0, ended.append) for n in range(4)]
    router = Router(agenda, 1000, random.Random(2), lambda one, number: one.start(number, 1e6))
    router.set_replicas(replicas)

    for number in range(400):
        router.take(number)

    counts = [one.ongoing for one in replicas]
    assert sum(counts) == 400
    assert max(counts) - min(counts) <= 6


def rows_of(begun_s: np.ndarray, ended_s: np.ndarray) -> RequestColumns:
    count = begun_s.size
    return RequestColumns(
        intended_s=begun_s,
        send_lag_s=np.zeros(count, np.float32),
        latency_s=(ended_s - begun_s).astype(np.float32),
        status=np.full(count, 200, np.uint16),
        name=np.zeros(count, np.int32),
        error=np.full(count, -1, np.int32),
        worker=np.zeros(count, np.uint16),
        names=("/",),
        errors=(),
    )


def shared_core(begun_s: np.ndarray, works_s: np.ndarray, sharing: float) -> np.ndarray:
    """Ends of requests by small steps of time: nothing of the code under test."""
    left = works_s.copy()
    ended = np.full(begun_s.size, np.nan)
    step_s = 0.0005
    for turn in range(int((begun_s[-1] - T0 + 60) / step_s)):
        now_s = T0 + turn * step_s
        there = (begun_s <= now_s) & np.isnan(ended)
        if not there.any():
            if now_s > begun_s[-1]:
                break
            continue
        left[there] -= step_s / (1 + sharing * (np.count_nonzero(there) - 1))
        ended[there & (left <= 0)] = now_s
    return ended


@pytest.mark.parametrize("sharing", [0.0, 0.4, 1.0])
def test_the_growth_of_service_times_is_found_from_a_record(sharing: float):
    numbers = np.random.default_rng(7)
    rates = np.concatenate([np.full(100, 5.0), np.full(200, 13.0)])
    begun_s = T0 + np.cumsum(numbers.exponential(1 / rates))
    works_s = numbers.uniform(0.045, 0.055, begun_s.size)
    ended_s = shared_core(begun_s, works_s, sharing)

    found = service_times(
        rows_of(begun_s, ended_s), Staircase(np.empty(0), np.array([1])), max_ongoing=1000
    )

    assert not isinstance(found, str)
    assert found.sharing == pytest.approx(sharing, abs=0.12)
    assert float(np.median(found.works_s[0])) == pytest.approx(0.05, rel=0.06)


def test_too_few_requests_tell_nothing():
    begun_s = T0 + np.arange(20.0)

    found = service_times(
        rows_of(begun_s, begun_s + 0.1), Staircase(np.empty(0), np.array([1])), max_ongoing=5
    )

    assert found == "the record holds 20 answered requests, fewer than 50"
