"""Polls of a deployment, written down by hand, and the lag that they show."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from reports.analysis.lag.step_lag import StepLag, step_lag
from reports.analysis.lag.timeline import Timeline, build_timeline
from reports.model.steps import Phase
from scalelag.plan.stages import LoadStep
from scalelag.record.rows import Poll, Row, Transition

KEY = "app/Model"

ROUND_TRIP_S = 0.1

Replicas = Mapping[str, str]
"""State of each replica; "STARTING@" and the like are allocated, RUNNING always is."""


class PollView(NamedTuple):
    """State of the deployment at one poll of the dashboard."""

    sent_s: float
    target: int | None
    replicas: Replicas


def replica_json(replica: str, state: str) -> dict[str, str]:
    found = {"replica_id": replica, "state": state.rstrip("@")}
    return found if state in ("STARTING", "RECOVERING") else found | {"node_id": "node-1"}


def deployment_json(target: int | None, replicas: Replicas) -> dict[str, object]:
    found: dict[str, object] = {"replicas": [replica_json(*item) for item in replicas.items()]}
    return found if target is None else found | {"target_num_replicas": target}


def rows_of(
    polls: Sequence[tuple[float, float, dict[str, dict[str, object]]]],
) -> list[Row]:
    """Rows of polls given as (sent, received, deployments of "app")."""
    tracker = ReplicaTracker()
    rows: list[Row] = []
    for sent_s, received_s, deployments in polls:
        body = msgspec.json.encode({"applications": {"app": {"deployments": deployments}}})
        rows += tracker.rows(parse_payload(body), sent_s, received_s)
    return rows


def timeline_of(rows: Sequence[Row], key: str = KEY) -> Timeline:
    return build_timeline(
        key,
        [row for row in rows if isinstance(row, Poll)],
        [row for row in rows if isinstance(row, Transition)],
    )


def lag(
    seen: Sequence[PollView], at_s: float = 10.0, until_s: float = 30.0, levels: str = "5->40"
) -> StepLag:
    """The step from `at_s` to `until_s` as answered in polls of 0.1 s each."""
    before, after = (float(level) for level in levels.split("->"))
    rows = rows_of(
        [
            (s.sent_s, s.sent_s + ROUND_TRIP_S, {"Model": deployment_json(s.target, s.replicas)})
            for s in seen
        ]
    )
    return step_lag(LoadStep(1, at_s, until_s, before, after), 0.0, timeline_of(rows))


def every_second(
    changes: Mapping[float, tuple[int | None, Replicas]],
    from_s: int = 8,
    until_s: int = 31,
    without: Sequence[int] = (),
) -> list[PollView]:
    """A poll each second: at each what `changes` said last. None is sent in the seconds `without`."""
    return [
        PollView(t, *changes[max(c for c in changes if c <= t)])
        for t in range(from_s, until_s)
        if t not in without
    ]


def phase(report: StepLag, name: str) -> Phase:
    return next(phase for phase in report.phases if phase.name == name)


def interval(figure: Phase | object) -> tuple[float, float, float]:
    """(lo, value, hi), rounded to a nanosecond."""
    return tuple(round(getattr(figure, name), 9) for name in ("lo", "value", "hi"))  # type: ignore[return-value]


RUNNING_1 = {"r0": "RUNNING"}


def replicas(**states: str) -> Replicas:
    return {"r0": "RUNNING", **states}


# The step is at 10 s. The target is 4 from 15 s on, when three replicas are listed; b, the last to
# run, gets its node by 17 s and is RUNNING at 20 s.
ONE_TO_FOUR = {
    0: (1, RUNNING_1),
    15: (4, replicas(a="STARTING", b="STARTING", c="STARTING")),
    16: (4, replicas(a="STARTING@", b="STARTING", c="STARTING@")),
    17: (4, replicas(a="STARTING@", b="STARTING@", c="STARTING@")),
    19: (4, replicas(a="RUNNING", b="STARTING@", c="RUNNING")),
    20: (4, replicas(a="RUNNING", b="RUNNING", c="RUNNING")),
}
