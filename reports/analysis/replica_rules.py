"""Rules about replicas and their settings: health_check, slow_init, bounds, configured_delay."""

import math

from reports.analysis.facts import StepFacts
from reports.analysis.findings import Evidence, Finding
from reports.analysis.intervals import between
from reports.analysis.phases import failed_tries
from reports.analysis.timeline import ReplicaLife

_SLOW_INIT_S = 1.5
_SLOW_INIT_SHARE = 0.2
_STALLED_S = 1.0
_OVER_BOUND = 1.1
_CONFIGURED_SHARE = 0.5
_QUOTED = 4


def health_check(facts: StepFacts) -> Finding | None:
    """Replicas failed to start, or failed their health checks, and no lost node explains it."""
    if facts.lost_nodes():
        return None
    failed = failed_tries(facts.timeline, facts.begun_s, facts.answered_s)
    crashes = facts.events("start_failed")
    unwell = facts.events("health_check_failed", "health_check_timed_out", "unhealthy_stopped")
    statuses = [
        row
        for row in facts.statuses()
        if "failed to start" in row.message or row.trigger == "HEALTH_CHECK_FAILED"
    ]
    if not (crashes or unwell or statuses):
        return None
    shown = [
        Evidence(f"replica {r.replica} was given up before it was RUNNING", facts.at(r.begun.mid_s))
        for r in failed[:_QUOTED]
    ]
    shown += [facts.quote(e, "a replica failed to start") for e in crashes[:_QUOTED]]
    shown += [facts.quote(e, "a replica's health check failed") for e in unwell[:_QUOTED]]
    shown += [
        Evidence(f"status {row.status}, {row.trigger}", facts.at(row.hi_s), raw=row.message)
        for row in statuses[:_QUOTED]
    ]
    restart = next((p.value for p in facts.step.phases if p.name == "restart"), None)
    return Finding("health_check", tuple(shown), _health_advice(facts, bool(unwell)), restart)


def _health_advice(facts: StepFacts, unwell: bool) -> str:  # noqa: FBT001  internal
    config = facts.info.config if facts.info else {}
    period, timeout = (config.get(f"health_check_{name}_s") for name in ("period", "timeout"))
    if not unwell:
        return (
            "Mend what the constructor, reconfigure or first health check raises (quoted above). "
            "Serve tries again and again without a pause; each try costs a whole start-up."
        )
    return (
        "Find out why check_health raised or did not answer (quoted above). Where it is only slow, "
        f"set health_check_timeout_s above {timeout or 30} or health_check_period_s above "
        f"{period or 10}: a replica is given up after 3 failures in a row."
    )


def slow_init(facts: StepFacts) -> Finding | None:
    """The critical replica spent its time in its constructor, a large part of the whole step."""
    life = _critical(facts)
    if life is None:
        return None
    begun = life.entered or life.allocated
    if begun is None or begun.mid_s >= facts.ended_s:
        return None
    done = life.initialized or life.running
    over = done is not None and done.mid_s <= facts.ended_s
    seconds = between(begun, done).lo if done and over else facts.ended_s - begun.mid_s
    if seconds < max(_SLOW_INIT_S, _SLOW_INIT_SHARE * (facts.answered_s - facts.begun_s)):
        return None
    source = "its log says so" if life.entered else "as polling saw it, with marking it RUNNING"
    text = f"replica {life.replica} initialised for {seconds:.1f} s, {source}"
    if not over:
        text = f"replica {life.replica} had initialised for {seconds:.1f} s at the end of the hold"
    shown = [Evidence(text, facts.at(begun.mid_s), life.node)]
    shown += [facts.quote(e, "Serve says so") for e in facts.events("slow_to_initialize")[:1]]
    stalled_s = sum(s.seconds for s in facts.stalls()) if life.initialized is None else 0.0
    return Finding(
        "slow_init",
        tuple(shown),
        "Make __init__ and reconfigure quicker (weights on local disk or in the image, lazy "
        "imports), or keep replicas in reserve: a higher min_replicas, or a lower "
        "target_ongoing_requests so that scaling begins earlier.",
        seconds,
        tell_apart="the replica's own log would tell when it had initialised"
        if stalled_s >= _STALLED_S
        else None,
    )


def _critical(facts: StepFacts) -> ReplicaLife | None:
    name = facts.step.critical_replica
    if facts.step.direction != "up" or name is None:
        return None
    return next((life for life in facts.timeline.replicas if life.replica == name), None)


def bounds(facts: StepFacts) -> Finding | None:
    """More replicas were wanted at the end of the hold than max_replicas allows."""
    policy, ongoing = facts.policy, facts.ongoing
    target = facts.step.target_after
    if policy is None or target is None or target < policy.max_replicas:
        return None
    if facts.step.direction == "down":
        return None
    if ongoing is None:
        said = [e.ongoing for e in facts.events("upscaling") if e.ongoing is not None]
        ongoing = said[-1] if said else 0.0
    wanted = math.ceil(ongoing / policy.target_ongoing_requests)
    if wanted <= policy.max_replicas * _OVER_BOUND:
        return None
    text = (
        f"{ongoing:.1f} requests were open at the end of the hold: at target_ongoing_requests "
        f"{policy.target_ongoing_requests:g} that is {wanted} replicas, and max_replicas is "
        f"{policy.max_replicas}"
    )
    return Finding(
        "bounds",
        (Evidence(text, facts.at(facts.ended_s)),),
        f"Raise autoscaling_config.max_replicas from {policy.max_replicas} (the backlog of a load "
        "above capacity grows, so the number above is no measure of how many are needed), or "
        "shed load earlier with max_queued_requests.",
    )


def configured_delay(facts: StepFacts) -> Finding | None:
    """The configuration alone explains at least half of the lag, or is longer than the hold."""
    total, floor, policy = facts.step.total_s, facts.step.floor, facts.policy
    if total is None or floor is None or policy is None:
        return None
    if total.value is None:
        if floor.total_s < total.lo:
            return None
        hold_s = facts.step.hold_s
        text = f"the hold of {hold_s:.1f} s is shorter than the floor of {floor.total_s:.1f} s"
    elif floor.configured_s >= _CONFIGURED_SHARE * total.value:
        text = f"{floor.configured_s:.1f} s of {total.value:.1f} s are the configuration's"
    else:
        return None
    up = facts.step.direction == "up"
    delay = "upscale_delay_s" if up else "downscale_delay_s"
    settings = (
        f"{delay} {floor.delay_s:g}, metrics_interval_s {policy.metrics_interval_s:g}, "
        f"look_back_period_s {policy.look_back_period_s:g}"
    )
    advice = (
        f"This is what was asked for. To follow faster, lower {delay} from {floor.delay_s:g} "
        f"(and metrics_interval_s from {policy.metrics_interval_s:g}, look_back_period_s from "
        f"{policy.look_back_period_s:g}): all of autoscaling_config."
    )
    return Finding(
        "configured_delay", (Evidence(f"{text} ({settings})"),), advice, floor.configured_s
    )
