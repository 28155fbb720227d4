"""Signs of replicas and their settings: health_check, slow_init, bounds, configured_delay."""

from collections.abc import Iterator, Sequence

from reports.analysis.diagnosis.facts import FAILED_CHECKS, WANTS_MORE, StepFacts
from reports.analysis.diagnosis.outages import mark_wait, stalls
from reports.analysis.diagnosis.rule import Rule, Sign
from reports.analysis.health import is_of_dead
from reports.analysis.lag.phases import failed_tries
from reports.analysis.lag.policy import Policy
from reports.model.causes import Evidence
from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import between
from reports.model.steps import FloorReport
from scalelag.record.evidence_rows import LogEvent
from scalelag.wording import count, seconds_within

_SLOW_INIT_S = 1.5
_LATER_S = 0.1
_CONFIGURED_SHARE = 0.5
_SHORTEST_HOLD_S = 1.0
_SHOWN_WITHIN_S = 1.0
_SHOWN_LATE_S = 3.0
"""Time from a line of the controller until a poll shows the status that it leads to."""


def starts_failed(facts: StepFacts) -> Iterator[Sign]:
    """Replicas were given up before they ran; Serve's log and message have the exception."""
    crashes = facts.events("start_failed")
    messages = [row for row in facts.statuses() if "failed to start" in row.message]
    if not (crashes or messages):
        return
    failed = failed_tries(facts.timeline, facts.begun_s, facts.by_s)
    begun_s = [life.begun.mid_s for life in failed]
    begun_s += [event.at_s for event in crashes] + [row.hi_s for row in messages]
    times = len(failed) or len(crashes) or len(messages)
    text = f"{count(times, 'replica was', 'replicas were')} given up before RUNNING"
    raw = crashes[-1].raw if crashes else messages[-1].message
    shown = [Evidence(text, facts.at(min(begun_s)), raw=raw)]
    critical = facts.critical()
    over = critical is not None and critical.running is not None
    to_s = critical.begun.mid_s if critical and over else facts.by_s
    yield Sign(min(begun_s), max(to_s, min(begun_s)), tuple(shown))


def checks_failed(facts: StepFacts) -> Iterator[Sign]:
    """Replicas that ran failed so many health checks that Serve gave them up."""
    died = _died(facts)
    dead = {event.replica for event in died}
    stopped = [event for event in facts.events("unhealthy_stopped") if event.replica not in dead]
    unhealthy = [
        row
        for row in facts.statuses()
        if row.trigger == "HEALTH_CHECK_FAILED"
        and not any(-_SHOWN_WITHIN_S <= row.hi_s - event.at_s <= _SHOWN_LATE_S for event in died)
    ]
    if not (stopped or unhealthy):
        return
    checks = facts.events(*FAILED_CHECKS)
    gone = len({event.replica for event in stopped})
    first_s = min([e.at_s for e in (*checks, *stopped)] + [row.hi_s for row in unhealthy])
    text = f"health checks failed, and Serve gave up {count(gone, 'replica')}"
    if stopped and (later_s := min(e.at_s for e in stopped) - first_s) >= _LATER_S:
        text += f" {later_s:.1f} s later"
    raw = checks[0].raw if checks else next((row.message for row in unhealthy), None)
    yield Sign(first_s, facts.answered_s, (Evidence(text, facts.at(first_s), raw=raw),))


def replicas_died(facts: StepFacts) -> Iterator[Sign]:
    """The processes of replicas ended, and Serve gave them up without a failed check."""
    died = _died(facts)
    if not died:
        return
    gone = len({event.replica for event in died})
    others = f"the processes of {count(gone, 'replica')}"
    text = f"{f'the process of replica {died[0].replica}' if gone == 1 else others} ended"
    shown = facts.quote(died[0], text)
    yield Sign(died[0].at_s, max(died[0].at_s, facts.answered_s), (shown,))


def _died(facts: StepFacts) -> list[LogEvent]:
    """Lines of the controller on replicas whose process had ended."""
    return [event for event in facts.events("unhealthy_stopped") if is_of_dead(event)]


def died_advice(_facts: StepFacts, _signs: Sequence[Sign]) -> str:
    """Advice: find out why the process ended."""
    return (
        "Find out why the process ended: the replica's log ends with its last words; a kill for want "
        "of memory is in Ray's events and in the node's log. health_check_timeout_s changes nothing."
    )


def not_ready(facts: StepFacts) -> Iterator[Sign]:
    """A replica's constructor was done, and its reconfigure or first health check took long.

    A slow reconfigure counts as slow_init. If checks failed elsewhere too, it was the check.
    """
    mark = mark_wait(facts)
    if mark is not None and not mark.stood:
        text = (
            f"replica {mark.replica} had its constructor done {mark.seconds:.1f} s before RUNNING"
        )
        yield Sign(
            mark.from_s,
            mark.to_s,
            (Evidence(text, facts.at(mark.from_s)),),
            tell_apart="reconfigure (where there is a user_config) and the first check_health come "
            "in between: let each log how long it took",
        )


def reconfigured_long(facts: StepFacts) -> Iterator[Sign]:
    """After its constructor, a replica's reconfigure or first check took long; no check failed."""
    if not facts.events(*FAILED_CHECKS):
        yield from not_ready(facts)


def health_advice(facts: StepFacts, signs: Sequence[Sign]) -> str:
    """Advice: fix the exception, or allow more time for a slow check."""
    if all("before RUNNING" in shown.text for sign in signs for shown in sign.shown):
        return (
            "Mend what the constructor, reconfigure or first check_health raises: Serve tries again "
            "at once, and each attempt costs a whole start-up."
        )
    timeout = facts.config("health_check_timeout_s", 30)
    period = facts.config("health_check_period_s", 10)
    return (
        "Find out why check_health raised or hung. If it is only slow, raise health_check_timeout_s "
        f"from {timeout} or health_check_period_s from {period}: 3 failures in a row end a replica."
    )


def initialised_long(facts: StepFacts) -> Iterator[Sign]:
    """The critical replica spent long in its constructor."""
    life = facts.critical()
    begun = (life.entered or life.allocated) if life else None
    if life is None or begun is None or begun.mid_s >= facts.by_s:
        return
    done = life.initialized or life.running
    # The answer of a step is the middle of an interval: its last replica may have come behind it.
    phase = facts.lag.phase("initialize")
    over = done is not None and (done.lo_s if phase else done.hi_s) <= facts.by_s
    phase = phase if over else None
    end = done if done and over else facts.unfinished(done)
    took = phase.span if phase else between(*facts.ordered(begun, end))
    seconds = took.value or 0.0
    if seconds < _SLOW_INIT_S:
        return
    from_s, to_s = end.mid_s - seconds, end.mid_s
    text = f"replica {life.replica} initialised for {seconds_within(seconds, took.lo, took.upper)}"
    if not over:
        text = f"{text} and was not done at the end"
    elif life.initialized is None:
        text = f"{text}, marking it RUNNING included (no log was read)"
    shown = [Evidence(text, facts.at(from_s), life.node)]
    shown += [facts.quote(e, "Serve says so") for e in facts.events("slow_to_initialize")[:1]]
    stood = any(s.to_s > from_s and s.from_s < to_s for s in stalls(facts))
    doubt = "the replica's own log tells when it was initialised; the controller stood still"
    yield Sign(
        from_s,
        to_s,
        tuple(shown),
        tell_apart=doubt if stood and life.initialized is None else None,
    )


def init_advice(facts: StepFacts, _signs: Sequence[Sign]) -> str:
    """Advice: a faster constructor, or replicas in reserve."""
    needed = f" to {facts.lag.target_after}" if facts.lag.target_after else ""
    return (
        "Make __init__ and reconfigure quicker (weights on local disk, lazy imports), or keep "
        f"replicas in reserve: min_replicas{facts.now('min_replicas')}{needed}, or a lower "
        f"target_ongoing_requests{facts.now('target_ongoing_requests')}."
    )


def more_wanted_than_allowed(facts: StepFacts) -> Iterator[Sign]:
    """All replicas that max_replicas allows were RUNNING, and the open requests asked for more."""
    policy, running = facts.final_policy, facts.lag.replicas_after
    if policy is None or running is None or running < policy.max_replicas or not policy.default:
        return
    ongoing, at_s, when = facts.ongoing, facts.ended_s, "at the end"
    if ongoing is None:
        said = [(e.ongoing, e.at_s) for e in facts.events("upscaling") if e.ongoing is not None]
        ongoing, at_s = said[-1] if said else (0.0, at_s)
        when = "at its last decision (later it is not known how many)"
    wanted = ongoing / policy.target_ongoing_requests
    if facts.step.direction == "up" and wanted > running * WANTS_MORE and not facts.is_worked_off:
        text = (
            f"{ongoing:.1f} requests were open {when}: at target_ongoing_requests "
            f"{policy.target_ongoing_requests:g} that is "
            f"{count(policy.demand_of(ongoing), 'replica')}, and "
            f"{policy.scaling.most_name} is {policy.max_replicas}"
        )
        yield Sign(facts.begun_s, facts.ended_s, (Evidence(text, facts.at(at_s)),))


def bounds_advice(facts: StepFacts, _signs: Sequence[Sign]) -> str:
    """Advice: a higher bound."""
    wanted = f" towards {facts.demand}" if facts.demand else ""
    if facts.policy and "target_capacity" in facts.policy.scaling.most_name:
        return (
            f"Raise target_capacity from {facts.policy.scaling.capacity:g}, which leaves "
            f"{facts.policy.max_replicas} of max_replicas{wanted}, or shed load with "
            "max_queued_requests."
        )
    return (
        f"Raise max_replicas{facts.now('max_replicas')}{wanted} (what piles up is counted too: fewer "
        "may do), or shed load with max_queued_requests."
    )


def configuration_took_it(facts: StepFacts) -> Iterator[Sign]:
    """The configuration explains at least half of the lag, or is longer than the hold."""
    total, floor, policy = facts.lag.total_s, facts.floor, facts.policy
    if policy is None:
        return
    if total is None:
        text = _never_due(facts, policy)
        seconds = facts.lag_s
    elif floor is None:
        return
    elif total.value is None:
        text = _longer_than_hold(facts, floor, total.lo)
        seconds = min(_configured_s(floor), facts.lag_s)
    else:
        seconds = _taken_s(facts, floor)
        text = ""
        if seconds >= _CONFIGURED_SHARE * total.upper:
            text = _share(seconds, total.value, floor)
    if text:
        shown = Evidence(f"{text} ({_settings(facts, policy)})")
        yield Sign(facts.begun_s, facts.answered_s, (shown,), seconds)


def _share(seconds: float, total_s: float, floor: FloorReport) -> str:
    """Text on the part of an answer that settings took: of the floor, or of a whole timely decision."""
    if seconds == _configured_s(floor):
        return f"{floor.configured_s:.1f} s of {total_s:.1f} s are the configuration's"
    return (
        f"{seconds:.1f} s of {total_s:.1f} s went to the decision, which came on time: the "
        f"configuration takes {floor.configured_s:.1f} s of it at the least"
    )


def _taken_s(facts: StepFacts, floor: FloorReport) -> float:
    """Seconds of an answer that settings took.

    If a step is on time, all of its decision counts, whenever a report of the counts was due. From
    zero, a second decision waits for the first replica's start, which is no setting.
    """
    decide, from_none = facts.lag.phase("decide"), not facts.lag.replicas_before
    is_up = facts.step.direction == "up"
    begun_later = is_up and from_none and len(facts.until(facts.answered_s).decisions(up=True)) > 1
    on_time_s = decide.value if decide and facts.is_on_time and not begun_later else None
    return on_time_s or _configured_s(floor)


def _detection_took_most(facts: StepFacts) -> bool:
    """True if reports and the average took longer than the delay."""
    floor, total = facts.floor, facts.lag.total_s
    if floor is None or total is None or total.value is None:
        return False
    delay = facts.lag.phase("delay")
    delay_s = delay.value if delay and delay.value else floor.delay_s
    return _taken_s(facts, floor) - delay_s - floor.loop_s > delay_s


def _configured_s(floor: FloorReport) -> float:
    """Part of a floor that settings cause; a slow loop is not one of them."""
    return floor.detect_s + floor.delay_s + min(floor.loop_s, 3 * DEFAULT_LOOP_S)


def _never_due(facts: StepFacts, policy: Policy) -> str:
    """Another number of replicas was wanted at the end of the hold, but its delay was not over."""
    up, hold_s = facts.step.direction == "up", facts.step.hold_s
    delay_s = policy.upscale_delay_s if up else policy.downscale_delay_s
    running, demand = facts.lag.replicas_after or 0, facts.demand
    fewer = running > policy.min_replicas and demand is not None and demand < running
    missed = facts.wants_more if up else fewer
    if not missed or facts.decisions(up=up):
        return ""
    if not _SHORTEST_HOLD_S <= hold_s <= delay_s + facts.noticed_s:
        return ""
    return f"the hold of {hold_s:.1f} s left the delay of {delay_s:g} s no time: no decision"


def _longer_than_hold(facts: StepFacts, floor: FloorReport, proven_s: float) -> str:
    # Without any delay it would still take a start-up, which alone may be longer than the hold.
    hold_s = max(proven_s, facts.step.hold_s)
    if floor.least_s < hold_s or floor.total_s - floor.configured_s >= hold_s:
        return ""
    return f"the hold of {facts.step.hold_s:.1f} s is shorter than the floor, {floor.total_s:.1f} s"


def _settings(facts: StepFacts, policy: Policy) -> str:
    name, delay_s = _delay(facts, policy)
    return (
        f"{name} {delay_s:g}, metrics_interval_s {policy.metrics_interval_s:g}, "
        f"look_back_period_s {policy.look_back_period_s:g}"
    )


def _delay(facts: StepFacts, policy: Policy) -> tuple[str, float]:
    if facts.step.direction == "up":
        return "upscale_delay_s", policy.upscale_delay_s
    delays = policy.delays(facts.lag.replicas_before or 0, 0)
    last_s = policy.downscale_to_zero_delay_s
    if facts.lag.target_after == 0 and policy.by_way_of_one and last_s == max(delays):
        return "downscale_to_zero_delay_s", last_s
    return "downscale_delay_s", policy.downscale_delay_s


def delay_advice(facts: StepFacts, _signs: Sequence[Sign]) -> str:
    """Advice: the setting that makes the step slow."""
    if facts.policy is None:
        return ""
    name, delay_s = _delay(facts, facts.policy)
    look_back_s = facts.policy.look_back_period_s
    if _detection_took_most(facts):
        return (
            "This is what was asked for. Most of it are reports and their average. To follow faster, "
            f"lower look_back_period_s from {look_back_s:g} and metrics_interval_s"
            f"{facts.now('metrics_interval_s')}, then {name} from {delay_s:g}."
        )
    least = f" to look_back_period_s ({look_back_s:g}) or above" if delay_s > look_back_s else ""
    return (
        f"This is what was asked for. To follow faster, lower {name} from {delay_s:g}{least}, then "
        f"metrics_interval_s{facts.now('metrics_interval_s')} and look_back_period_s from "
        f"{look_back_s:g}."
    )


def shorter_delay(facts: StepFacts) -> dict[str, float]:
    """The delay that the advice asks for: as long as the look-back, or half of a delay within it.

    If push interval and look-back took longer, it is half of these.
    """
    if facts.policy is None or not facts.policy.default:
        return {}
    if _detection_took_most(facts):
        names = ("look_back_period_s", "metrics_interval_s")
        return {one: float(f"{getattr(facts.policy, one) / 2:.2g}") for one in names}
    name, delay_s = _delay(facts, facts.policy)
    look_back_s = facts.policy.look_back_period_s
    value = look_back_s if delay_s > look_back_s else float(f"{delay_s / 2:.2g}")
    return {name: value} if value < delay_s else {}


DIED = Rule("health_check", (replicas_died,), died_advice, named="a replica that died")
HEALTH_CHECK = Rule("health_check", (starts_failed, checks_failed, not_ready), health_advice)
SLOW_INIT = Rule("slow_init", (initialised_long, reconfigured_long), init_advice)
BOUNDS = Rule("bounds", (more_wanted_than_allowed,), bounds_advice, makes_late=False)
CONFIGURED_DELAY = Rule(
    "configured_delay", (configuration_took_it,), delay_advice, change=shorter_delay
)
