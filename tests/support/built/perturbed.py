"""Runs that look real: a stored one, repeated, slower or quicker to follow, with noise."""

import msgspec
import numpy as np

from scalelag.plan.stages import parse_plan
from scalelag.record.rows import Poll, Transition
from scalelag.record.run_dir import RecordedRun


def perturbed(
    run: RecordedRun,
    random: np.random.Generator,
    *,
    repeat: int = 1,
    lag: float = 1.0,
    latency: float = 1.0,
    noise: float = 0.05,
) -> RecordedRun:
    """`run`, its plan done `repeat` times.

    What its replicas did comes about `lag` times as long after each step, and requests take about
    `latency` times as long: `noise` of each repetition, and half of that of each request, is chance.
    Logs are left out.
    """
    period_s, zero_s = run.info.plan.duration_s, run.info.zero_s
    added_s = (repeat - 1) * period_s
    polls: list[Poll] = []
    transitions: list[Transition] = []
    for number in range(repeat):
        warp = _Warp(run, number, repeat, lag * float(np.exp(random.normal(0, noise))))
        polls += [
            msgspec.structs.replace(
                poll, sent_s=warp(poll.sent_s), received_s=warp(poll.received_s)
            )
            for poll in run.polls
            if warp.takes(poll.received_s)
        ]
        transitions += [
            msgspec.structs.replace(
                row,
                replica=row.replica if row.lo_s is None else f"{row.replica}{number}",
                hi_s=warp(row.hi_s),
                lo_s=None if row.lo_s is None else warp(row.lo_s),
                start_time_s=None if row.start_time_s is None else warp(row.start_time_s),
            )
            for row in run.transitions
            if warp.takes(row.hi_s)
        ]
    info = msgspec.structs.replace(
        run.info,
        plan=parse_plan(run.info.plan.text, repeat),
        planned_requests=(run.info.planned_requests or 0) * repeat,
        load_ended_s=(run.info.load_ended_s or zero_s) + added_s,
        watched_until_s=(run.info.watched_until_s or zero_s) + added_s,
    )
    return msgspec.structs.replace(
        run,
        info=info,
        polls=tuple(polls),
        transitions=tuple(transitions),
        events=(),
        snapshots=(),
        requests=_requests(run, random, repeat, latency, noise),
    )


class _Warp:
    """Moves moments of one repetition: within each stage, its ends stay where they are."""

    def __init__(self, run: RecordedRun, number: int, repeat: int, lag: float) -> None:
        self.zero_s, self.stages = run.info.zero_s, run.info.plan.stages
        self.period_s = run.info.plan.duration_s
        self.shift_s = number * self.period_s
        self.first, self.last, self.lag = number == 0, number == repeat - 1, lag

    def takes(self, at_s: float) -> bool:
        """Before the first repetition, and behind the last, there is what the run had there."""
        at_s -= self.zero_s
        return (self.first or at_s >= 0) and (self.last or at_s < self.period_s)

    def __call__(self, at_s: float) -> float:
        after_s = at_s - self.zero_s
        stage = next((s for s in self.stages if s.at_s <= after_s < s.end_s), None)
        if stage is not None:
            share = (after_s - stage.at_s) / stage.duration_s
            after_s = stage.at_s + stage.duration_s * share ** (1 / self.lag)
        return self.zero_s + self.shift_s + after_s


def _requests(run, random, repeat, latency, noise):
    rows = run.requests
    period_s = run.info.plan.duration_s
    factors = [latency * np.exp(random.normal(0, noise)) for _ in range(repeat)]
    slower = np.repeat(factors, rows.count) * np.exp(
        random.normal(0, noise / 2, repeat * rows.count)
    )
    columns = {
        name: np.tile(getattr(rows, name), repeat)
        for name in ("send_lag_s", "status", "name", "error", "worker")
    }
    return msgspec.structs.replace(
        rows,
        intended_s=np.concatenate([rows.intended_s + i * period_s for i in range(repeat)]),
        latency_s=(np.tile(rows.latency_s, repeat) * slower).astype(np.float32),
        **columns,
    )
