"""A scenario made of a record: its load, its service times and start-ups; or why there is none."""

import msgspec
import numpy as np

from reports.analysis.elasticity.staircase import Staircase
from reports.analysis.elasticity.supply import supply_of
from reports.analysis.lag.control_loop import loop_interval
from reports.analysis.lag.hidden import unhidden
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline, build_timeline
from reports.analysis.simulable import NO_STARTS, rows_of, why_not_simulated
from reports.model.controller import DEFAULT_LOOP_S
from reports.whatif.scenario import Arrivals, Load, Scenario, Settings, Users, settings_of
from reports.whatif.service_times import service_times
from reports.whatif.start_up import StartUps, start_ups
from scalelag.errors import UsageError
from scalelag.plan.stages import LoadPlan
from scalelag.ray_versions import TARGET_REPLICAS, named
from scalelag.record.application_info import application_name
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import deployed_replicas
from scalelag.record.error_kinds import LATE, WORKER_LOST
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_TIMEOUT_S = 30.0
_MAX_IN_FLIGHT = 1000


class RecordedScenario(msgspec.Struct, frozen=True):
    """A run as a scenario, with the timeline and RUNNING curve that it was made of.

    The requests of `run` are those for the application, of `requests` in all.
    """

    run: RecordedRun
    scenario: Scenario
    timeline: Timeline
    running: Staircase
    requests: int

    @property
    def target(self) -> Staircase:
        """The recorded target over time."""
        decisions = sorted(self.timeline.decisions, key=lambda one: one.at.mid_s)
        return Staircase(
            np.array([one.at.mid_s for one in decisions]),
            np.array([self.scenario.target, *(one.after for one in decisions)], np.int64),
        )


class WatchedTime(msgspec.Struct, frozen=True):
    """Timeline and RUNNING curve of a deployment, watched until `until_s` in Unix seconds."""

    timeline: Timeline
    running: Staircase
    until_s: float


def watched_of(run: RecordedRun, key: DeploymentKey) -> WatchedTime | None:
    """Return the watched part of a deployment; None if the probe saw nothing of it."""
    run = unhidden(run)
    timeline = build_timeline(key, run.polls, run.transitions, run.events, run.info.clock)
    supply = supply_of(timeline, run.gaps)
    if supply is None:
        return None
    return WatchedTime(timeline, supply.middle(), timeline.polls[-1].received_s)


def watched_as_long(
    watched: WatchedTime, zero_s: float, other: RecordedRun, key: DeploymentKey
) -> WatchedTime:
    """`watched`, of a plan that began at `zero_s`, for as long as `other` was watched after its own.

    Replica-hours compare over one length of time. A run that was watched for less kept what it had.
    """
    of_other = watched_of(other, key)
    if of_other is None:
        return watched
    until_s = zero_s + of_other.until_s - other.info.zero_s
    return msgspec.structs.replace(watched, until_s=until_s)


def recorded_scenario(
    run: RecordedRun, key: DeploymentKey, *, own_policy: bool = False
) -> RecordedScenario:
    """The run as a scenario for `key`, with its own settings and the requests for its application.

    `own_policy` tells that the user gives the policy with which it ran. Raises UsageError with what
    in the record is missing.
    """
    if (why := why_not_simulated(run, key, own_policy=own_policy)) is not None:
        raise _refused(why)
    described, rows = run.info.target.deployments.get(key), rows_of(run, key)
    policy = policy_of(described, run.info.versions.ray)
    assert described is not None  # checked, as are the policy and the rows
    assert policy is not None
    assert not isinstance(rows, str)
    all_requests, run = run.requests.count, msgspec.structs.replace(run, requests=rows)
    watched = watched_of(run, key)
    first = _first_poll(watched)
    if watched is None or first is None or first.target is None:
        raise _refused(f"it holds no poll with a target (known since {named(TARGET_REPLICAS)})")
    settings = settings_of(
        key, described, policy, application_name(key, run.info.target.applications)
    )
    service = service_times(rows, watched.running, settings.max_ongoing)
    if isinstance(service, str):
        raise _refused(service)
    scenario = Scenario(
        settings=settings,
        load=_load(run),
        service=service,
        starts=_starts(watched.timeline, settings),
        from_s=first.sent_s,
        to_s=watched.until_s,
        replicas=first.running,
        target=first.target,
        loop_s=loop_interval(run.polls) or DEFAULT_LOOP_S,
        max_in_flight=int(_option(run, "max_in_flight", _MAX_IN_FLIGHT)),
        timeout_s=_option(run, "request_timeout", _TIMEOUT_S),
    )
    return RecordedScenario(run, scenario, watched.timeline, watched.running, all_requests)


def _option(run: RecordedRun, name: str, default: float) -> float:
    """Number of an option that the run was made with, else its default: a record may hold anything."""
    value = run.info.options.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else default


def _first_poll(watched: WatchedTime | None) -> ReplicaPoll | None:
    polls = watched.timeline.polls if watched else ()
    return next((poll for poll in polls if poll.target is not None), None)


def _starts(timeline: Timeline, settings: Settings) -> StartUps:
    """Recorded start-ups of replicas. Raises UsageError if there were none."""
    starts = start_ups(timeline, settings.wait_loop_s)
    if not starts.starts_s:
        raise _refused(NO_STARTS)
    return starts


def _refused(why: str) -> UsageError:
    return UsageError(f"this record cannot be simulated: {why}.")


def _load(run: RecordedRun) -> Load:
    """The recorded load: each arrival that was not lost by the load generator, or the users."""
    rows = run.requests
    if run.info.plan.unit == "users":
        return users_of(run, run.info.plan)
    ours = ~rows.with_errors(LATE, WORKER_LOST)
    return Arrivals(rows.intended_s[ours], rows.name[ours], rows.names)


def users_of(run: RecordedRun, plan: LoadPlan) -> Users:
    """The users of a plan, who send what those of the run sent; a ramp in steps of one second."""
    zero_s, rows = run.info.zero_s, run.requests
    at_s: list[float] = []
    count: list[int] = []
    for stage in plan.stages:
        ramp = stage.start_level != stage.end_level
        moments = np.arange(0.0, stage.duration_s, 1.0) if ramp else [0.0]
        for moment in moments:
            at_s.append(zero_s + stage.at_s + float(moment))
            count.append(round(stage.level_at(stage.at_s + float(moment))))
    at_s.append(zero_s + plan.duration_s)
    count.append(0)
    return Users(tuple(at_s), tuple(count), pause_of(run), tuple(rows.names), rows.name)


def pause_of(run: RecordedRun) -> float:
    """Mean time between an answer and the same user's next request, in seconds.

    By Little's law for the constant stages of the plan: users / rate is a whole round.
    """
    rows, zero_s = run.requests, run.info.zero_s
    pauses: list[float] = []
    for stage in run.info.plan.stages:
        if stage.start_level != stage.end_level or stage.start_level <= 0:
            continue
        part = (rows.intended_s >= zero_s + stage.at_s) & (rows.intended_s < zero_s + stage.end_s)
        answered = part & np.isfinite(rows.latency_s)
        if np.count_nonzero(answered) >= stage.start_level:
            round_s = stage.start_level * stage.duration_s / np.count_nonzero(answered)
            pauses.append(round_s - float(np.mean(rows.latency_s[answered])))
    return max(0.0, float(np.median(pauses))) if pauses else 0.0


def with_settings(scenario: Scenario, info: DeploymentInfo, ray: str | None) -> Scenario:
    """The same scenario with other settings of the deployment.

    It begins as the recorded one did: as deployed, or with the fewest replicas, if that was so; else
    with as many as there were, within the new bounds.
    """
    policy = policy_of(info, ray)
    if policy is None:
        raise _refused("with these settings nothing scales")
    before = scenario.settings
    changed: Settings = settings_of(before.key, info, policy, before.application)
    least, most = policy.min_replicas, policy.max_replicas
    if scenario.target == deployed_replicas(before.info):
        begun = deployed_replicas(info)
    else:
        begun = least if scenario.target == before.policy.min_replicas else scenario.target
    replicas = min(max(begun, least), most)
    return msgspec.structs.replace(scenario, settings=changed, replicas=replicas, target=replicas)
