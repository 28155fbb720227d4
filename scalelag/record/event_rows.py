"""Rows of `events.jsonl`: what the run itself did to the cluster. Times as in `replicas.jsonl`."""

import msgspec

from scalelag.plan.events import EventKind


class EventRow(msgspec.Struct, frozen=True, tag_field="type", tag="event", omit_defaults=True):
    """An event of the plan that was begun. Of several rows with one `index` the last holds.

    It took place between `begun_s` and `ended_s`, both within `skew_s`: the sending of the request and
    its answer, or the job's own times. `ended_s` is None if it was not over yet, or is not known.
    `planned_s` is when it was due. `name` is that of the deployment, application or file; `apps` are
    the applications that it deployed. `lost` are the replicas that were killed, `node` is the node.
    `error` says why it was not done, `note` what was not as asked for.
    """

    index: int
    kind: EventKind
    text: str
    planned_s: float
    begun_s: float
    ended_s: float | None = None
    skew_s: float = 0.0
    name: str | None = None
    count: int | None = None
    apps: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    node: str | None = None
    error: str | None = None
    note: str | None = None
