"""Deployments that stand before another one, and their room for requests."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from reports.analysis.diagnosis.replayed import Replayer
from reports.analysis.lag.changes import Changes
from reports.analysis.lag.policy import Policy, policy_of
from reports.analysis.lag.timeline import Timeline
from reports.analysis.seen.requests_at import RequestsAt, application_of
from reports.model.intervals import Window
from scalelag.ray_versions import usual_slots
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import slots_of
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_MARGIN_S = 1.0


class Front(msgspec.Struct, frozen=True):
    """A deployment that requests pass on their way; a replica takes `most_ongoing` at once.

    `policy` is None if its number of replicas is fixed, or if an external scaler decides
    (`is_external`). `requests` are those open at it. If it `is_ingress`, all requests of the client
    are among them.
    """

    key: DeploymentKey
    timeline: Timeline
    most_ongoing: int
    policy: Policy | None = None
    requests: RequestsAt = RequestsAt()
    is_external: bool = False
    is_ingress: bool = True

    def running(self, from_s: float, to_s: float) -> int:
        """Most replicas that were RUNNING at once between two moments, in Unix seconds."""
        seen = [poll.running for poll in self.timeline.polls_within(from_s, to_s)]
        last = self.timeline.poll_before(to_s)
        return max(seen, default=last.running if last else 0)

    def slots(self, from_s: float, to_s: float) -> int:
        """Requests that its replicas took at once: RUNNING x max_ongoing_requests."""
        return self.running(from_s, to_s) * self.most_ongoing

    def may_grow(self, from_s: float, to_s: float) -> bool:
        """Return True if its settings allow for more replicas than were RUNNING."""
        return self.policy is not None and self.running(from_s, to_s) < self.policy.max_replicas

    @property
    def setting(self) -> str:
        """Setting that bounds the number of its replicas."""
        if self.policy:
            return "max_replicas"
        return "the target (by the external scaler)" if self.is_external else "num_replicas"

    def seen(self, hold: Window, part: Window) -> float | None:
        """Mean number that its policy was given in part of a hold, by Serve's gauges; None without."""
        given = self.requests.given if self.requests.whose == "seen" else None
        return given.within(hold).mean(*part) if given else None

    def open_there(self, hold: Window, part: Window) -> float | None:
        """Mean number of requests open at it in a part of a hold, by Serve's gauges; None without."""
        opened = self.requests.open if self.requests.whose == "seen" else None
        return opened.within(hold).mean(*part) if opened else None

    def is_served(self, end: Window, begun_s: float) -> bool:
        """Return True if it had all the replicas that it wanted at the end of a hold.

        The gauges decide, else its target. With gauges, a fixed number of replicas must have room
        for twice as many requests. Without gauges it is not known, so the result is False.
        """
        hold = Window(begun_s, end.to_s)
        seen = self.seen(hold, end)
        if seen is not None:
            each = self.policy.target_ongoing_requests if self.policy else self.most_ongoing / 2
            return seen <= self.running(*end) * each
        held = held_target(self.timeline, self.policy, hold)
        return held is not None and self.running(held.from_s, end.to_s) >= held.target


class HeldTarget(msgspec.Struct, frozen=True):
    """A target below max_replicas that did not move from `from_s` on, Unix seconds."""

    target: int
    from_s: float


def held_target(
    timeline: Timeline, policy: Policy | None, hold: Window, loop_s: float | None = None
) -> HeldTarget | None:
    """Target kept at the end of `hold` for so long that more replicas cannot have been wanted.

    That is the delay, and the longest time until the autoscaler knows that it wants more. None if
    the target moved in it, if no poll saw it, or if it could not have risen: while no replica runs,
    Ray keeps the target whatever is open.
    """
    last = timeline.poll_before(hold.to_s)
    target = last.target if last else None
    if policy is None or not policy.default or target is None or policy.aggregation == "min":
        return None
    wait_s = (
        policy.upscale_delay_s + policy.noticed_s(loop_s) + policy.metrics_interval_s + _MARGIN_S
    )
    from_s = hold.to_s - wait_s
    if not 0 < target < policy.max_replicas or from_s < hold.from_s:
        return None
    moved = any(from_s < d.at.hi_s and d.at.lo_s <= hold.to_s for d in timeline.decisions)
    polls = timeline.polls_within(from_s, hold.to_s)
    if moved or not polls or any(poll.foreign or not poll.running for poll in polls):
        return None
    return HeldTarget(target, from_s)


class Surroundings(msgspec.Struct, frozen=True):
    """Deployments that the requests of one deployment pass, as far as they are watched.

    `fronts` stand before it, and so do the `unwatched`; `beside` may delay the same requests. `own`
    is the deployment itself if it is alone. `replay` asks Ray's own policy for its decisions on the
    requests.
    """

    fronts: tuple[Front, ...] = ()
    beside: tuple[Front, ...] = ()
    own: Front | None = None
    replay: Replayer | None = None
    unwatched: tuple[DeploymentKey, ...] = ()


def around_of(
    run: RecordedRun,
    key: DeploymentKey,
    timelines: Mapping[DeploymentKey, Timeline],
    requests: Mapping[DeploymentKey, RequestsAt],
    changes: Mapping[DeploymentKey, Changes],
    replay: Replayer | None,
    at_s: float,
) -> Surroundings:
    """Deployments around `key`, by who calls whom, with the configurations in force at `at_s`.

    Deployments that `key` calls delay its requests at `key`, where its policy counts them.
    """

    def front(one: DeploymentKey) -> Front:
        return _front(
            one,
            _info_at(run, changes.get(one), one, at_s),
            run.info.versions.ray,
            timelines.get(one, Timeline((), (), ())),
            requests.get(one, RequestsAt()),
            is_ingress=app is None or app.ingress in (None, one),
        )

    app = application_of(run, key)
    others = tuple(one for one in (app.deployments if app else timelines) if one != key)
    if app is None or not others:
        is_alone = not others and requests[key].client is not None
        own = front(key) if is_alone else None
        return Surroundings(own=own, replay=None if others else replay)
    before = _reached(key, app.callers)
    behind = _reached(key, lambda one: app.calls.get(one, ()))
    beside = [one for one in others if one not in before and one not in behind]
    return Surroundings(
        fronts=tuple(front(one) for one in before if one in timelines),
        beside=tuple(front(one) for one in beside),
        unwatched=tuple(one for one in before if one not in timelines),
    )


def _info_at(
    run: RecordedRun, changes: Changes | None, key: DeploymentKey, at_s: float
) -> DeploymentInfo | None:
    """Configuration in force; the first one of a deployment that is not watched."""
    return changes.info_at(at_s) if changes else run.info.target.deployments.get(key)


def _reached(
    key: DeploymentKey, following: Callable[[DeploymentKey], Iterable[DeploymentKey]]
) -> list[DeploymentKey]:
    """Deployments on the way from `key`, without itself; Serve's graphs may have circles."""
    found = [key]
    for one in found:
        found += [other for other in following(one) if other not in found]
    return found[1:]


def _front(
    key: DeploymentKey,
    info: DeploymentInfo | None,
    ray: str | None,
    timeline: Timeline,
    requests: RequestsAt,
    *,
    is_ingress: bool,
) -> Front:
    """Deployment `key` as one that requests pass; one that is not watched has an empty timeline."""
    return Front(
        key=key,
        timeline=timeline,
        most_ongoing=slots_of(info) or usual_slots(ray),
        policy=policy_of(info, ray),
        requests=requests,
        is_external=info is not None and info.external_scaler,
        is_ingress=is_ingress,
    )
