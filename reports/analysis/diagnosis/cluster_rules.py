"""Signs of limits below the replicas: resources, state_sync, network."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from reports.analysis.diagnosis.facts import FAILED_CHECKS, StepFacts, Wait
from reports.analysis.diagnosis.failed_requests import (
    connection_failures,
    longest_silence,
    sent,
)
from reports.analysis.diagnosis.outages import CAME_BACK, lost_nodes, mark_wait, stalls
from reports.analysis.diagnosis.rule import Rule, Sign
from reports.analysis.restarts import logged_start
from reports.model.causes import Evidence
from reports.model.controller import DEFAULT_LOOP_S
from reports.model.intervals import Instant, overlap_s
from scalelag.record.effective import described_need
from scalelag.wording import count, seconds_within

# Serve needs 2 s for a worker process, and 5.5 s if several start on a busy machine. A wait alone
# therefore says nothing.
_MIN_WAIT_S = 1.5
# Ray's cluster status is up to 5 s old, and polled every 2 s: what it shows for longer did last.
_STATUS_LAG_S = 5.0
_LASTING_DEMAND_S = 8.0
_STALL_S = 1.5
_STALLED_S = 2.0
_SLOW_LOOP_S = 0.3
_LOOPS_A_STEP = 4
_MIN_FAILED = 3
_MIN_FAILED_RATIO = 0.01
_RESTARTED = "the controller restarted: autoscaling started over"
_PER_NODE = "node:__internal_implicit_resource_"


def waited_for_room(facts: StepFacts) -> Iterator[Sign]:
    """A new replica waited, and the cluster said that the resources it asks for were missing."""
    waits = [w for w in facts.waits() if w.seconds >= _MIN_WAIT_S]
    if not waits:
        return
    longest = waits[0]
    shown = _started_nodes(facts, longest) or _unmet_demands(facts, longest)
    shown += [facts.quote(e, "Serve says so") for e in facts.events("slow_to_schedule")[:1]]
    shown += [
        Evidence("Serve says so", facts.at(row.hi_s), raw=row.message)
        for row in facts.statuses()
        if "to be scheduled" in row.message
    ][:1]
    if shown:
        until = "until it got its place" if longest.over else "and was still waiting at the end"
        took = seconds_within(longest.seconds, longest.took.lo, longest.took.upper)
        text = f"replica {longest.life.replica} waited {took} {until}"
        waited = Evidence(text, facts.at(longest.from_s), longest.life.node)
        yield Sign(longest.from_s, longest.to_s, (waited, *shown))


def _started_nodes(facts: StepFacts, wait: Wait) -> list[Evidence]:
    """Nodes that Ray's autoscaler was starting, or had started, during a wait."""
    seen = facts.snapshots(wait.from_s, wait.to_s + _STATUS_LAG_S)
    coming = [
        Evidence(f"a node was being started: {row.pending[0]}", facts.at(row.received_s))
        for row, _ in seen
        if row.pending
    ]
    there = [
        Evidence(
            f"a node was started: {kind} went from {earlier.active.get(kind, 0)} to {count}",
            facts.at(later.received_s),
        )
        for (earlier, _), (later, _) in pairwise(seen)
        for kind, count in later.active.items()
        if count > earlier.active.get(kind, 0)
    ]
    return coming[:1] + there[:1]


def _unmet_demands(facts: StepFacts, wait: Wait) -> list[Evidence]:
    """Our demands that were pending during a wait: too little was free, or it took long.

    A status that is read shortly after the wait may still describe it.
    """
    found: list[Evidence] = []
    for row, end_s in facts.snapshots(wait.from_s, wait.to_s + _STATUS_LAG_S):
        lasted_s = overlap_s((row.received_s, end_s), (wait.from_s, wait.to_s))
        for demand, number in row.demands.items():
            short = [n for n, v in facts.asked.items() if row.free.get(n, 0.0) < v - 1e-6]
            if not facts.is_ours(demand):
                continue
            if short:
                free = " and ".join(f"{row.free.get(n, 0.0):g} {n}" for n in short)
                text = f"{number} pending: {demand}, with {free} free"
            elif _PER_NODE in demand:
                text = f"{number} pending, each node having as many as it may: {demand}"
            elif lasted_s >= _LASTING_DEMAND_S:
                text = f"{number} pending for {lasted_s:.0f} s, though no sum is short: {demand}"
            else:
                continue
            found.append(Evidence(text, facts.at(row.received_s)))
    return found[:1]


def room_advice(facts: StepFacts, signs: Sequence[Sign]) -> str:
    """Advice: more room, or a replica that needs less."""
    asked = " and ".join(f"{v:g} {k}" for k, v in facts.asked.items()) or "what it asks for"
    if facts.info and facts.info.placement_bundles:
        asked = described_need(facts.info)
    limit = facts.config("max_replicas_per_node", None)
    if limit and any(_PER_NODE in e.text for sign in signs for e in sign.shown):
        return (
            f"Raise max_replicas_per_node from {limit}, or have more nodes: none takes more of these "
            "replicas, however much room it has."
        )
    if any("a node was" in e.text for sign in signs for e in sign.shown):
        return (
            f"Keep nodes with {asked} ready: min_workers of the node type (minReplicas of a KubeRay "
            "worker group). Or begin earlier: lower target_ongoing_requests"
            f"{facts.now('target_ongoing_requests')}."
        )
    target = facts.lag.target_after
    wanted = count(target, "replica") if target else "more replicas"
    return (
        f"Make room for {wanted} of {asked}: max_workers of the "
        "node type, larger nodes, or less a replica (ray_actor_options.num_cpus, num_gpus, "
        "resources)."
    )


def controller_stood_still(facts: StepFacts) -> Iterator[Sign]:
    """The controller did not answer, or turned its loop far too seldom, for 2 s or more in all.

    It counts in three cases: the step was late, nobody saw the step, or a replica was starting.
    Without the controller no start ends, and the run's fastest start may have waited for it too.
    """
    stood = [s for s in stalls(facts) if s.seconds >= _STALL_S]
    life = facts.critical()
    if life is not None and not facts.is_late:
        end_s = life.running.mid_s if life.running else facts.by_s
        stood = [s for s in stood if overlap_s(s.window, (life.begun.mid_s, end_s)) >= _STALL_S]
    elif not (facts.is_late or facts.is_unseen):
        return
    if sum(stall.seconds for stall in stood) >= _STALLED_S:
        for stall in stood:
            shown = Evidence(f"the controller {stall.text}", facts.at(stall.from_s))
            yield Sign(stall.from_s, stall.to_s, (shown,))


def controller_restarted(facts: StepFacts) -> Iterator[Sign]:
    """The controller restarted; nothing happens until it decides again."""
    for row in facts.run.restarts if facts.is_late else ():
        logged = logged_start(row, facts.run.events, facts.timeline.off)
        at = logged or Instant(row.lo_s, row.hi_s)
        if facts.within(at.hi_s) or facts.within(row.hi_s):
            later = [d.at.mid_s for d in facts.decisions(up=True) if d.at.mid_s >= at.lo_s]
            source = "by its log" if logged else "by polls"
            shown = Evidence(f"{_RESTARTED} ({source})", facts.at(at.hi_s))
            yield Sign(row.lo_s, max(at.hi_s, min(later, default=row.hi_s)), (shown,))


def loop_was_slow(facts: StepFacts) -> Iterator[Sign]:
    """All turns of the loop took at least three times as long as usual, which delays every step."""
    loop_s, delay = facts.loop_s, facts.delay
    if facts.is_late and loop_s is not None and loop_s >= _SLOW_LOOP_S:
        text = f"a turn of the controller's loop took {loop_s:.2f} s all along; 0.1 s is usual"
        stretched_s = delay.effective_s.lo - delay.configured_s if delay else 0.0
        seconds = max(_LOOPS_A_STEP * (loop_s - DEFAULT_LOOP_S), stretched_s)
        yield Sign(facts.begun_s, facts.answered_s, (Evidence(text),), seconds)


def marked_late(facts: StepFacts) -> Iterator[Sign]:
    """A replica was ready long before it was marked RUNNING, since the controller stood still."""
    mark = mark_wait(facts)
    if mark is not None and mark.stood:
        text = f"replica {mark.replica} was initialised {mark.seconds:.1f} s before it was marked"
        yield Sign(mark.from_s, mark.to_s, (Evidence(text, facts.at(mark.from_s)),))


def controller_advice(facts: StepFacts, signs: Sequence[Sign]) -> str:
    """Advice: room for the controller, or the default setting of its loop."""
    if any(sign.seconds is not None for sign in signs):
        return (
            f"Put RAY_SERVE_CONTROL_LOOP_INTERVAL_S back from about {facts.loop_s or 0:.1f} to 0.1 if "
            "it was raised; if not, the controller has too much to do: fewer replicas a cluster."
        )
    texts = [shown.text for sign in signs for shown in sign.shown]
    if any(_RESTARTED in text or CAME_BACK in text for text in texts):
        return (
            "Find out why the controller ended: its log, and the memory of the head node. It keeps "
            "the replicas there were, and starts over with counting requests and with delays."
        )
    return (
        "Give the Serve controller and Ray's GCS room: num_cpus 0 for the head node, more CPU and "
        f"memory there, a longer metrics_interval_s{facts.now('metrics_interval_s')}."
    )


def node_lost(facts: StepFacts) -> Iterator[Sign]:
    """A node dropped out."""
    for lost in lost_nodes(facts):
        there = {life.replica for life in facts.timeline.replicas if life.node == lost.node}
        first = [event.at_s for event in facts.events(*FAILED_CHECKS) if event.replica in there]
        yield Sign(min([lost.at_s, *first]), facts.answered_s, lost.shown)


def no_connection(facts: StepFacts) -> Iterator[Sign]:
    """Requests failed because they got no connection."""
    failed = connection_failures(facts)
    if failed and failed.count >= max(_MIN_FAILED, _MIN_FAILED_RATIO * sent(facts)):
        kinds = ", ".join(f"{n:,} x {kind}" for kind, n in failed.kinds.items())
        text = f"{failed.count:,} of {count(sent(facts), 'request')} found no connection: {kinds}"
        yield _unheard(
            facts, failed.from_s, failed.to_s, (Evidence(text, facts.at(failed.from_s)),)
        )


def nothing_answered(facts: StepFacts) -> Iterator[Sign]:
    """Requests that had been quick were not answered at all, and the autoscaler saw none wait."""
    whole = facts.until(facts.ended_s)
    silence, policy = longest_silence(whole), facts.policy
    if silence is None or not silence.may_be_network or silence.from_s >= facts.by_s:
        return
    if whole.events(*FAILED_CHECKS):
        return  # replicas that do not answer Serve either
    poll = facts.timeline.poll_before(silence.from_s)
    text = (
        f"no answer at all for {silence.seconds:.1f} s with "
        f"{count(silence.unanswered, 'request')} under "
        "way; those before were quick"
    )
    # Requests that wait within Serve make it decide for more replicas, if it may have them.
    bounded = policy is None or poll is None or (poll.target or 0) >= policy.max_replicas
    noticed_s = facts.noticed_s + (policy.upscale_delay_s if policy else 0.0)
    decided = any(silence.from_s < d.at.mid_s < silence.to_s for d in whole.decisions(up=True))
    doubt = "Serve's access logs show whether the requests arrived: then the replicas hung"
    unseen = not (bounded or decided) and silence.seconds > noticed_s
    shown = [Evidence(text, facts.at(silence.from_s))]
    if unseen:
        shown.append(Evidence("Serve saw none of them wait: it decided for no more replicas"))
    yield _unheard(facts, silence.from_s, silence.to_s, tuple(shown), None if unseen else doubt)


def _unheard(
    facts: StepFacts,
    from_s: float,
    to_s: float,
    shown: tuple[Evidence, ...],
    tell_apart: str | None = None,
) -> Sign:
    """Requests that do not arrive delay the decision for more replicas, and nothing after it."""
    decide = facts.lag.phase("decide")
    decided_s = facts.begun_s + decide.value if decide and decide.value else facts.answered_s
    held_up_s = overlap_s((from_s, to_s), (facts.begun_s, decided_s))
    return Sign(from_s, to_s, shown, held_up_s if facts.is_late else 0.0, tell_apart)


def network_advice(facts: StepFacts, signs: Sequence[Sign]) -> str:
    """Advice on the place to look."""
    nodes = sorted({e.node[:8] for sign in signs for e in sign.shown if e.node})
    if nodes:
        return (
            f"Look at node {', '.join(nodes)} and its network. Ray gives a node up after "
            "health_check_failure_threshold x health_check_timeout_ms (system config); requests to "
            "its replicas wait until then."
        )
    return (
        f"Look at the way from the load generator to {facts.run.info.target.host}: load balancer, "
        "firewall, idle time-outs, restarts of Serve's proxies."
    )


NETWORK = Rule("network", (node_lost, no_connection, nothing_answered), network_advice)
RESOURCES = Rule("resources", (waited_for_room,), room_advice)
STATE_SYNC = Rule(
    "state_sync",
    (controller_restarted, controller_stood_still, loop_was_slow, marked_late),
    controller_advice,
)
