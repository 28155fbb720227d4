"""Rules about what replicas run on: resources, state_sync, network."""

from itertools import pairwise

from reports.analysis.facts import StepFacts, Wait
from reports.analysis.findings import Evidence, Finding

_MIN_WAIT_S = 1.5
_LASTING_DEMAND_S = 3.0
# Ray's cluster status follows what happens by some seconds (AUTOSCALER_UPDATE_INTERVAL_S is 5).
_STATUS_LAG_S = 5.0
_STALLED_S = 1.0
_SLOW_LOOP_S = 0.3
_MIN_FAILED = 3
_MIN_FAILED_RATIO = 0.01
_CONNECTION = ("connection refused", "connection reset", "timeout")
_QUOTED = 4


def resources(facts: StepFacts) -> Finding | None:
    """A new replica waited, and the cluster said that what it asks for was not there."""
    waits = [w for w in facts.waits() if w.seconds >= _MIN_WAIT_S]
    if not waits:
        return None
    longest = waits[0]
    shown = [*_started_nodes(facts, longest), *_unmet_demands(facts, longest)]
    shown += [facts.quote(e, "Serve says so") for e in facts.events("slow_to_schedule")[:1]]
    shown += [
        Evidence("Serve says so", facts.at(row.hi_s), raw=row.message)
        for row in facts.statuses()
        if "to be scheduled" in row.message
    ][:1]
    if not shown:
        return None
    until = "until it got its place" if longest.over else "and was still waiting at the end"
    text = f"replica {longest.life.replica} waited {longest.seconds:.1f} s {until}"
    asked = ", ".join(f"{v:g} {k}" for k, v in _asked(facts).items()) or "what it asks for"
    return Finding(
        "resources",
        (Evidence(text, facts.at(longest.from_s), longest.life.node), *shown),
        f"Make room for {asked} a replica: more or larger nodes, nodes kept ready (min_workers of "
        "the cluster's node type, so that none has to be started first), or less a replica "
        "(ray_actor_options.num_cpus, num_gpus, resources; max_replicas_per_node).",
        longest.seconds,
    )


def _asked(facts: StepFacts) -> dict[str, float]:
    return (facts.info.required_resources if facts.info else None) or {}


def _started_nodes(facts: StepFacts, wait: Wait) -> list[Evidence]:
    """Nodes that Ray's autoscaler was starting, or started, during a wait."""
    seen = facts.snapshots(wait.from_s, wait.to_s + _STATUS_LAG_S)
    found = [
        Evidence(f"a node was being started: {row.pending[0]}", facts.at(row.received_s))
        for row, _ in seen
        if row.pending
    ][:1]
    for (earlier, _), (later, _) in pairwise(seen):
        for kind, count in later.active.items():
            before = earlier.active.get(kind, 0)
            if count > before:
                text = f"a node was started: {kind} went from {before} to {count}"
                found.append(Evidence(text, facts.at(later.received_s)))
    return found


def _unmet_demands(facts: StepFacts, wait: Wait) -> list[Evidence]:
    """Demands of ours that were pending during a wait while the cluster had too little free."""
    found: list[Evidence] = []
    for row, end_s in facts.snapshots(wait.from_s, wait.to_s):
        lasted_s = min(end_s, wait.to_s) - max(row.received_s, wait.from_s)
        for demand, count in row.demands.items():
            short = [n for n, v in _asked(facts).items() if row.free.get(n, 0.0) < v - 1e-6]
            if not facts.is_ours(demand) or not (short or lasted_s >= _LASTING_DEMAND_S):
                continue
            free = ", ".join(f"{row.free.get(n, 0.0):g} {n}" for n in short)
            text = f"{count} pending: {demand}" + (f", and only {free} free" if free else "")
            found.append(Evidence(text, facts.at(row.received_s)))
    return found[:_QUOTED]


def state_sync(facts: StepFacts) -> Finding | None:
    """The controller stood still, restarted, or turned its loop slowly while the step lasted."""
    if facts.lost_nodes():
        return None
    stalls = [s for s in facts.stalls() if s.from_s < facts.answered_s]
    stalled_s = sum(stall.seconds for stall in stalls)
    restarts = [row for row in facts.run.restarts if facts.begun_s <= row.hi_s <= facts.ended_s]
    slow_loop = facts.loop_s is not None and facts.loop_s >= _SLOW_LOOP_S
    mark = next((p for p in facts.step.phases if p.name == "mark_running"), None)
    marked_late = mark is not None and mark.lo is not None and mark.lo >= _STALLED_S
    if stalled_s < _STALLED_S and not (restarts or slow_loop or marked_late):
        return None
    shown = [Evidence(f"the controller {s.text}", facts.at(s.from_s)) for s in stalls[:_QUOTED]]
    shown += [
        Evidence("the controller restarted: autoscaling began anew", facts.at(row.hi_s))
        for row in restarts
    ]
    if slow_loop and facts.loop_s:
        text = f"a turn of the controller's loop took {facts.loop_s:.2f} s; 0.1 s is usual"
        shown.append(Evidence(text))
    if marked_late and mark is not None and mark.value is not None:
        text = f"the replica was initialised {mark.value:.1f} s before the controller noticed"
        shown.append(Evidence(text))
    shown += [facts.quote(e, "Serve says so") for e in facts.events("stale_metrics")[:1]]
    return Finding(
        "state_sync",
        tuple(shown),
        "Give the controller room: no replicas on the head node (num_cpus: 0 there), more CPU or "
        "memory for it, fewer deployments or replicas a cluster, and "
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S at its default of 0.1.",
        max(stalled_s, mark.value or 0.0 if mark and marked_late else 0.0) or None,
    )


def network(facts: StepFacts) -> Finding | None:
    """A node dropped out, or connections failed rather than answers."""
    shown = [evidence for found in facts.lost_nodes().values() for evidence in found]
    errors = facts.errors()
    broken = {kind: n for kind, n in errors.items() if kind in _CONNECTION}
    count = sum(broken.values())
    enough = count >= max(_MIN_FAILED, _MIN_FAILED_RATIO * facts.sent())
    only_late = set(broken) == {"timeout"} and _is_overloaded(facts)
    first_s = facts.first_failure_s()
    if enough and not only_late and first_s is not None:
        kinds = ", ".join(f"{n:,} x {kind}" for kind, n in broken.items())
        text = f"{count:,} of {facts.sent():,} requests got no answer at all: {kinds}"
        shown.append(Evidence(text, facts.at(first_s)))
    shown += [facts.quote(e, "Serve says so") for e in facts.events("slow_queue_length")[:1]]
    if not shown:
        return None
    return Finding(
        "network",
        tuple(shown),
        "Look at the way from the load generator to Serve's proxy, and between the nodes: load "
        "balancer, firewall, idle time-outs, the node named here. Ray gives a node up after "
        "health_check_timeout_ms times health_check_failure_threshold of its system config.",
        facts.answered_s - facts.begun_s if facts.is_late else None,
        tell_apart=None
        if facts.lost_nodes() or "timeout" not in broken or len(broken) > 1
        else "time-outs alone may also be slow replicas: their access logs would show it",
    )


def _is_overloaded(facts: StepFacts) -> bool:
    """Whether more requests were open than the replicas there were meant to take."""
    policy, running = facts.policy, facts.step.replicas_after
    if policy is None or running is None or facts.ongoing is None:
        return False
    seen = [d for d in facts.timeline.decisions if facts.begun_s <= d.at.mid_s <= facts.ended_s]
    wanted = facts.ongoing / policy.target_ongoing_requests
    # Where requests reach Serve, more open ones than that make it scale up, or stand at its bound.
    scaled = any(d.after > d.before for d in seen) or running >= policy.max_replicas
    return wanted > running and scaled
