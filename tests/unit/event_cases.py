"""Records with events, and what reports say of them."""

import msgspec
import numpy as np

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gate
from scalelag.record.event_rows import EventRow
from scalelag.record.rows import Poll, StatusChange, Transition
from scalelag.record.run_dir import RecordedRun
from tests.unit.recorded_runs import KEY, ZERO_S, info, requests

PLAN = "10rps:80s"
ANSWER_S = 0.2
AT_S = 20.5
FULL = {"a": "RUNNING", "b": "RUNNING", "c": "RUNNING"}


def of_kind(rows, kind):
    return tuple(row for row in rows if isinstance(row, kind))


def recorded(states, *events, every_s=1.0, until_s=90.0, **more):
    """A run whose polls show `states` {second: {replica: state}} from then on; the target is 3."""
    tracker, rows, shown = ReplicaTracker(frozenset({KEY})), [], FULL
    target, status = more.pop("target", lambda _: 3), more.pop("status", lambda _: "HEALTHY")
    for sent_s in np.arange(0.0, until_s, every_s):
        shown = next(
            (s for at_s, s in sorted(states.items(), reverse=True) if at_s <= sent_s), FULL
        )
        deployment = {
            "status": status(sent_s),
            "target_num_replicas": target(sent_s),
            "replicas": [{"replica_id": r, "state": s, "node_id": "n"} for r, s in shown.items()],
        }
        apps = {"app": {"deployments": {"Model": deployment}}} if shown else {}
        payload = parse_payload(msgspec.json.encode({"applications": apps}))
        rows += tracker.rows(payload, ZERO_S + sent_s, ZERO_S + sent_s + ANSWER_S)
    run = RecordedRun(
        info=info(PLAN, planned_requests=800),
        requests=more.pop("requests", requests(PLAN)),
        polls=of_kind(rows, Poll),
        transitions=of_kind(rows, Transition),
        statuses=of_kind(rows, StatusChange),
        gaps=(),
        restarts=(),
        problems=(),
        run_events=events,
    )
    return msgspec.structs.replace(run, **more)


def event(kind, at_s=AT_S, index=1, **more):
    begun_s = ZERO_S + at_s
    return EventRow(index, kind, f"{kind} it", begun_s, begun_s, begun_s + 0.01, **more)


def only(run, *gates):
    report = analyse(run, [parse_gate(text) for text in gates]).report
    (found,) = report.events
    return found, report


def causes(report):
    return {one.cause for step in report.deployments[KEY].steps for one in step.findings}


def bounds(span):
    return (round(span.lo, 3), None if span.hi is None else round(span.hi, 3))


KILLED = event("kill_replicas", name=KEY, count=1, lost=("a",))
LOSS = {
    23: {"a": "STOPPING", "b": "RUNNING", "c": "RUNNING"},
    24: {"b": "RUNNING", "c": "RUNNING", "d": "STARTING"},
    30: {"b": "RUNNING", "c": "RUNNING", "d": "RUNNING"},
}
