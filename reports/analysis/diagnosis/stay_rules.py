"""Signs of a number of replicas that does not settle: oscillation, kept_replicas."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.diagnosis.counts import unseen
from reports.analysis.diagnosis.facts import StepFacts
from reports.analysis.diagnosis.failed_requests import TIMED_OUT, failed_s
from reports.analysis.diagnosis.rule import Rule, Sign
from reports.analysis.diagnosis.swing import Remedy, remedy_of, swing_of
from reports.analysis.lag.policy import Policy
from reports.model.causes import Evidence
from scalelag.record.blocks import blocks
from scalelag.wording import count

_LONG_DRAIN_S = 2.0
_MARGIN_S = 1.0
_ROUNDING_S = 0.01


def target_swings(facts: StepFacts) -> Iterator[Sign]:
    """The target goes up and down under constant load, because of the deployment's settings.

    If the autoscaler counted too few requests, it is not the settings.
    """
    policy = facts.final_policy
    swing = swing_of(facts) if policy is not None and policy.default else None
    if policy is None or swing is None or unseen(facts):
        return
    remedy = remedy_of(facts, swing, policy)
    if remedy is None:
        return
    from_s = max(swing.from_s, facts.begun_s)
    shown = (
        Evidence(
            f"the target turned {count(swing.turns, 'time')} between {swing.low} and "
            f"{count(swing.high, 'replica')}, "
            f"one period every {swing.period_s:.1f} s, while the load was constant",
            facts.at(from_s),
        ),
        Evidence(remedy.why),
    )
    yield Sign(from_s, swing.to_s, shown)


def swing_advice(facts: StepFacts, _signs: Sequence[Sign]) -> str:
    """Advice: the setting, and a value at which the swing is gone."""
    remedy = _remedy(facts)
    return f"{remedy.change}: the swing ends." if remedy else ""


def steadier(facts: StepFacts) -> dict[str, float]:
    """The settings, with the value at which the swing is gone."""
    remedy = _remedy(facts)
    return dict.fromkeys(remedy.now, remedy.value) if remedy else {}


def _remedy(facts: StepFacts) -> Remedy | None:
    policy, swing = facts.final_policy, swing_of(facts)
    return None if policy is None or swing is None else remedy_of(facts, swing, policy)


OSCILLATION = Rule("oscillation", (target_swings,), swing_advice, makes_late=False, change=steadier)


def kept_as_minimum(facts: StepFacts) -> Iterator[Sign]:
    """Nothing was open, and as many replicas stayed as the lower bound in effect requires."""
    policy, left = facts.final_policy, facts.lag.replicas_after
    quiet_s = _quiet_s(facts)
    if policy is None or left is None or quiet_s is None or policy.min_replicas <= 1:
        return
    if left != policy.min_replicas or facts.decisions(up=False) or quiet_s < facts.noticed_s:
        return
    text = (
        f"{count(left, 'replica')} stayed for {quiet_s:.1f} s with nothing open: "
        f"{policy.scaling.least_name} keeps {left}"
    )
    yield Sign(facts.by_s - quiet_s, facts.by_s, (Evidence(text, facts.at(facts.by_s - quiet_s)),))


def kept_by_work(facts: StepFacts) -> Iterator[Sign]:
    """Nothing was open for longer than the delay, clients had given up, and replicas stayed."""
    policy, left = facts.final_policy, facts.lag.replicas_after
    quiet_s = _quiet_s(facts)
    if policy is None or not policy.timed or left is None or left <= policy.min_replicas:
        return
    delay_s = policy.delays(left, policy.min_replicas)[0]
    due_s = delay_s + facts.noticed_s + _MARGIN_S
    if facts.decisions(up=False) or quiet_s is None or quiet_s < due_s:
        return
    given_up = int(np.searchsorted(failed_s(facts, TIMED_OUT), facts.by_s, side="right"))
    if given_up:
        text = (
            f"{count(left, 'replica')} stayed for {quiet_s:.1f} s with nothing open at the "
            "client, which had "
            f"given up {count(given_up, 'request')}: {'it works' if left == 1 else 'they work'} on them"
        )
        yield Sign(facts.by_s - quiet_s, facts.by_s, (Evidence(text, facts.at(facts.by_s)),))


def held_while_stopping(facts: StepFacts) -> Iterator[Sign]:
    """A stopped replica stayed beyond its shortest drain, with requests that do not end."""
    policy = facts.final_policy
    if policy is None or facts.concurrency is None:
        return
    least_s, held = policy.shortest_drain_s + _LONG_DRAIN_S, None
    for life in facts.timeline.replicas:
        stopping = life.stopping
        if stopping is None or life.vanished or life.replaced or not facts.within(stopping.mid_s):
            continue
        gone_s = min(life.gone.mid_s if life.gone else facts.by_s, facts.by_s)
        stayed_s = gone_s - stopping.mid_s
        if stayed_s < least_s:
            continue
        held = held or _held_open(facts, least_s)
        text = held.of(stopping.mid_s, gone_s)
        if text:
            text = f"replica {life.replica} was STOPPING for {stayed_s:.1f} s: {text}"
            shown = Evidence(text, facts.at(stopping.mid_s), life.node)
            yield Sign(stopping.mid_s, gone_s, (shown,))
            return


class _HeldOpen(msgspec.Struct, frozen=True):
    """Requests that may have held a stopping replica: open for long, or given up by the client.

    Unix seconds: `sent_s` and `done_s` of the former (infinite without an end), `given_up_s`
    ascending.
    """

    sent_s: NDArray[np.float64]
    done_s: NDArray[np.float64]
    given_up_s: NDArray[np.float64]

    def of(self, from_s: float, to_s: float) -> str:
        """Return what a replica waited for that was stopped at `from_s` and gone at `to_s`."""
        pinning = (self.sent_s < from_s) & (self.done_s > to_s - _MARGIN_S)
        if pinning.any():
            oldest_s = to_s - float(self.sent_s[pinning].min())
            number = int(np.count_nonzero(pinning))
            return (
                f"{count(number, 'request')} had begun before and "
                f"{'was' if number == 1 else 'were'} still open, the oldest for "
                f"{oldest_s:.0f} s"
            )
        given_up = int(np.searchsorted(self.given_up_s, to_s, side="right"))
        if given_up:
            return f"the client had given up {count(given_up, 'request')}, which replicas work on"
        return ""


def _held_open(facts: StepFacts, least_s: float) -> _HeldOpen:
    """Return the requests that may have held a replica for `least_s`, few of many."""
    rows = facts.rows
    found = [np.empty(0, np.intp)]
    for block in blocks(rows.count):
        open_s = rows.latency_s[block] - np.nan_to_num(rows.send_lag_s[block])
        is_long = ~(open_s < least_s - _MARGIN_S - _ROUNDING_S) & ~rows.not_sent_in(block)
        found.append(block.start + np.flatnonzero(is_long))
    long = np.concatenate(found)
    latency_s = rows.latency_s[long]
    return _HeldOpen(
        sent_s=rows.intended_s[long] + np.nan_to_num(rows.send_lag_s[long]),
        done_s=rows.intended_s[long] + np.where(np.isfinite(latency_s), latency_s, np.inf),
        given_up_s=failed_s(facts, TIMED_OUT),
    )


def kept_advice(facts: StepFacts, signs: Sequence[Sign]) -> str:
    """Advice, depending on what keeps them."""
    policy, texts = facts.final_policy, [shown.text for sign in signs for shown in sign.shown]
    if policy is None:
        return ""
    if any("keeps" in text for text in texts):
        return _bound_advice(facts, policy)
    if any("still open" in text for text in texts):
        timeout = facts.config("graceful_shutdown_timeout_s", 20)
        return (
            "End streams sooner (a longest duration, an idle time-out), or lower "
            f"graceful_shutdown_timeout_s from {timeout}: a stopped replica waits so long for them."
        )
    return (
        "Let replicas end work that nobody waits for: request_timeout_s (http_options) at or below "
        f"the client's {facts.run.info.options.get('request_timeout') or 'time-out'}, and code that "
        "can be cancelled (async def)."
    )


def _bound_advice(facts: StepFacts, policy: Policy) -> str:
    if policy.scaling.held_initial:
        return (
            "Deploy once without target_capacity, or lower initial_replicas from "
            f"{(facts.info.autoscaling or {}).get('initial_replicas') if facts.info else '?'}: Serve "
            "takes it for the minimum after it was scaled up to a target_capacity."
        )
    return f"Lower min_replicas from {policy.min_replicas} if idle replicas cost more than a start."


def _quiet_s(facts: StepFacts) -> float | None:
    """Seconds with nothing open at the end of a step down; None if there are none, or it is unknown."""
    if facts.step.direction != "down" or facts.concurrency is None:
        return None
    last_s = facts.concurrency.last_open_s(facts.by_s)
    quiet_s = facts.by_s - max(last_s, facts.begun_s)
    return quiet_s if quiet_s > 0 else None


KEPT = Rule(
    "kept_replicas",
    (kept_as_minimum, kept_by_work, held_while_stopping),
    kept_advice,
    makes_late=False,
)
