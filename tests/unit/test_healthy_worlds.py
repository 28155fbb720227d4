"""Random worlds in which an autoscaler does what it is told: none has a cause of the new kinds.

A small model of Serve, in steps of 0.1 s, shares no code with the analysis: requests of random
length, a front that may wait by itself, samples, pushes, an average, delays, and starts of replicas.
"""

import math
from collections import deque

import msgspec
import numpy as np
import pytest

from reports.analysis.diagnosis.front import Front
from reports.analysis.diagnosis.front_rules import BLIND, FRONT
from reports.analysis.diagnosis.rule import finding_of
from reports.analysis.diagnosis.stay_rules import KEPT, OSCILLATION
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.requests_at import RequestsAt
from scalelag.plan.stages import LoadStep
from scalelag.record.run_info import DeploymentInfo
from tests.support.built.step_facts import ZERO_S, decision, facts, requests

TICK_S = 0.1
HOLD_S = 60.0
WORLDS = 60


class Model:
    """An autoscaler, told how many requests are open at it, and its replicas."""

    def __init__(self, settings: dict[str, float], start_s: float) -> None:
        self.settings, self.start_s = settings, start_s
        self.target, self.running = 1, 1
        self.starting: deque[tuple[float, int]] = deque()
        self.samples: deque[tuple[float, float]] = deque()
        self.average, self.more_since, self.fewer_since = 0.0, None, None
        self.next_sample_s = self.next_push_s = 0.0
        self.decisions: list[tuple[float, int, int]] = []

    def turn(self, now_s: float, opened: int) -> None:
        look_back_s, push_s = (
            self.settings["look_back_period_s"],
            self.settings["metrics_interval_s"],
        )
        if now_s >= self.next_sample_s:
            self.samples.append((now_s, opened))
            self.next_sample_s += min(0.2 * look_back_s, push_s)
        if now_s >= self.next_push_s:
            self.next_push_s += push_s
            while self.samples and self.samples[0][0] < now_s - look_back_s:
                self.samples.popleft()
            self.average = float(np.mean([value for _, value in self.samples]))
        while self.starting and self.starting[0][0] <= now_s:
            self.running = min(self.target, max(self.running, self.starting.popleft()[1]))
        wanted = math.ceil(self.average / self.settings["target_ongoing_requests"])
        self.decide(now_s, min(max(wanted, 1), int(self.settings["max_replicas"])))

    def decide(self, now_s: float, wanted: int) -> None:
        self.more_since = (self.more_since or now_s) if wanted > self.target else None
        self.fewer_since = (self.fewer_since or now_s) if wanted < self.target else None
        up = self.more_since and now_s - self.more_since >= self.settings["upscale_delay_s"]
        down = self.fewer_since and now_s - self.fewer_since >= self.settings["downscale_delay_s"]
        if up or down:
            self.decisions.append((now_s, self.target, wanted))
            self.starting.append((now_s + self.start_s, wanted))
            self.running = min(self.running, wanted)
            self.target, self.more_since, self.fewer_since = wanted, None, None


def world(seed: int, front_waits: bool):
    """Requests, the model's decisions, its polls, and the edges of three holds."""
    rng = np.random.default_rng(seed)
    look_back_s = float(rng.uniform(1, 10))
    settings = {
        "min_replicas": 1,
        "max_replicas": 60,
        "target_ongoing_requests": float(rng.uniform(1, 4)),
        "metrics_interval_s": float(rng.uniform(0.3, look_back_s / 2)),
        "look_back_period_s": look_back_s,
        "upscale_delay_s": float(rng.uniform(1, 4)) + look_back_s,
        "downscale_delay_s": float(rng.uniform(20, 40)) + look_back_s,
    }
    service_s, own_s = float(rng.uniform(0.1, 1.0)), float(rng.uniform(0.2, 3.0)) * front_waits
    rates = [float(rng.uniform(1, 5)), float(rng.uniform(10, 30)), float(rng.uniform(1, 5))]
    model = Model(settings, float(rng.uniform(0.5, 6)))
    slots = math.ceil(settings["target_ongoing_requests"] * 1.3)
    at_model: deque[tuple[float, float]] = deque()
    busy: list[tuple[float, float]] = []
    rows, polls, due_s = [], [], 0.0
    for number in range(round(3 * HOLD_S / TICK_S)):
        now_s = number * TICK_S
        while due_s <= now_s:
            at_model.append((due_s, due_s + own_s))
            due_s += float(rng.exponential(1 / rates[min(2, int(due_s // HOLD_S))]))
        rows += [(sent_s, done_s) for sent_s, done_s in busy if done_s <= now_s]
        busy = [one for one in busy if one[1] > now_s]
        while at_model and len(busy) < slots * model.running and at_model[0][1] <= now_s:
            busy.append((at_model.popleft()[0], now_s + service_s))
        model.turn(now_s, sum(1 for _, ready_s in at_model if ready_s <= now_s) + len(busy))
        if number % 5 == 0:
            polls.append((now_s, model.running, model.target))
    rows += busy
    return settings, sorted(rows), model.decisions, polls


def told(seed: int, front_waits: bool):
    """Facts of each step of a world."""
    settings, rows, decisions, polls = world(seed, front_waits)
    sent_s = np.array([row[0] for row in rows]) + ZERO_S
    took_s = np.array([row[1] - row[0] for row in rows])
    rest = {"send_lag_s": 0, "status": 0, "name": 0, "error": -1, "worker": 0}
    made = requests()
    made = msgspec.structs.replace(
        made,
        intended_s=sent_s,
        latency_s=took_s.astype(np.float32),
        **{n: np.full(len(rows), v, getattr(made, n).dtype) for n, v in rest.items()},
    )
    timeline = Timeline(
        tuple(ReplicaPoll(ZERO_S + t, ZERO_S + t + 0.01, r, r, g) for t, r, g in polls),
        tuple(decision(ZERO_S + t, before, after) for t, before, after in decisions),
        (),
    )
    model = DeploymentInfo(
        dict(settings), {"max_ongoing_requests": 100}, is_ingress=not front_waits
    )
    fronts = ()
    if front_waits:
        front = DeploymentInfo(None, {"max_ongoing_requests": 1000}, is_ingress=True)
        one = tuple(ReplicaPoll(ZERO_S + t, ZERO_S + t + 0.01, 1, 1, 1) for t, _, _ in polls)
        fronts = (Front("app/Front", Timeline(one, (), ()), 1000, policy_of(front)),)
    client = Concurrency(made)
    at = RequestsAt(client, client, "client", client)
    for index, pair in enumerate(((5, 25), (25, 5))):
        begun_s = ZERO_S + (index + 1) * HOLD_S
        last = timeline.poll_before(begun_s + HOLD_S)
        given = facts(
            direction="up" if pair[1] > pair[0] else "down",
            requests=made,
            deployment=model,
            policy=policy_of(model),
            replicas_after=last.running,
            begun_s=begun_s,
            ended_s=begun_s + HOLD_S,
            fronts=fronts,
            polls=(),
        )
        step = LoadStep(index + 1, (index + 1) * HOLD_S, (index + 2) * HOLD_S, *pair)
        yield msgspec.structs.replace(given, timeline=timeline, step=step, requests=at)


@pytest.mark.parametrize("front_waits", [False, True])
def test_a_healthy_world_has_none_of_these_causes(front_waits):
    found = {}
    for seed in range(WORLDS):
        for given in told(seed, front_waits):
            for rule in (BLIND, FRONT, OSCILLATION, KEPT):
                finding = finding_of(rule, given)
                if finding is not None:
                    found[seed, given.step.index, finding.cause] = finding.evidence

    assert found == {}


def test_the_worlds_move():
    moved = [bool(world(seed, front_waits=False)[2]) for seed in range(10)]

    assert sum(moved) >= 8
