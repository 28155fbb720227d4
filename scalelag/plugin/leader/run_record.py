"""`run.json` of a run, written when it begins and whenever more is known."""

import os
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

import locust
import msgspec
from locust.env import Environment

import scalelag
from probes.replica_probe import ProbeState
from probes.serve_state import ServePayload
from probes.topology import applications_of
from scalelag.cluster.draining import known_drain_s
from scalelag.cluster.urls import without_credentials
from scalelag.errors import RecordError
from scalelag.options.run_options import RunOptions
from scalelag.ray_versions import CLOCK, CONTROLLER_HEALTH, lacking
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.clock import Clock, ClockOffset
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RUN_FILE, write_run_info
from scalelag.record.run_info import (
    SCHEMA_VERSION,
    UNFINISHED,
    ClockInfo,
    LintFinding,
    LoadWorkerInfo,
    ProbeInfo,
    RunInfo,
    RunStatus,
    TargetInfo,
    Versions,
)

_RESERVE: Final = 1 << 16


class RunRecord:
    """The `run.json` in `path`, replaced as a whole at each update."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        """Write it. Raises RecordError if the disk does not take it, as `update` does."""
        self._path = path
        self.info = info
        self.update()
        self._reserve = _reserved(path)

    def update(self, **known: Any) -> None:  # noqa: ANN401  fields of RunInfo
        """Write it with what is `known` now."""
        self.info = msgspec.structs.replace(self.info, **known)
        write_run_info(self._path, self.info)

    def close(self, **known: Any) -> None:  # noqa: ANN401  fields of RunInfo
        """Write it a last time, also on a disk that has filled up since."""
        self._reserve.close()
        self.update(**known)


def _reserved(path: Path) -> IO[bytes]:
    """Return a file without a name that holds room for a last `run.json`: the disk may fill up."""
    try:
        file = TemporaryFile(dir=path, buffering=0)  # noqa: SIM115  the record closes it
        file.write(bytes(_RESERVE + 2 * (path / RUN_FILE).stat().st_size))
    except OSError as error:
        raise RecordError(f"Cannot write to {path}: {error.strerror}.") from error
    return file


def begun(
    environment: Environment,
    options: RunOptions,
    clock: Clock,
    target: TargetInfo,
    *,
    ray: str | None,
    zero_s: float,
    planned: int | None,
    findings: Collection[LintFinding],
    load_workers: tuple[LoadWorkerInfo, ...],
) -> RunInfo:
    """Facts of a run that has just begun. Until it is closed it counts as interrupted."""
    return RunInfo(
        schema_version=SCHEMA_VERSION,
        name=options.name,
        status="interrupted",
        reason=UNFINISHED,
        versions=Versions(scalelag.__version__, locust.__version__, platform.python_version(), ray),
        options=options.public(),
        plan=options.plan,
        arrivals=options.schedule.kind,
        seed=options.schedule.seed,
        clock=clock_info(clock, None, ray),
        target=target,
        probe=ProbeInfo(options.probe_rate_per_s, options.observer_budget_ratio),
        workers=len(load_workers),
        zero_s=zero_s,
        planned_requests=planned,
        findings=tuple(findings),
        earlier_attempts=options.earlier_attempts,
        launched=options.launched,
        trace=options.trace,
        load_workers=load_workers,
        locustfiles=tuple(map(_locustfile, environment.parsed_locustfiles or ())),
        user_classes=tuple(user.__name__ for user in environment.user_classes),
        prompts=options.prompt_info,
        requests=options.recorded_mix(),
    )


def _locustfile(path: str) -> str:
    """Return `path` as `scalelag run -f` finds it from any folder, if it came with scalelag."""
    ours = Path(scalelag.__file__).parents[1] / "locustfiles"
    name = Path(path).name
    return f"{ours.name}/{name}" if Path(path).resolve() == (ours / name).resolve() else path


def broken_off(stopper: str | None, *, was_deserted: bool) -> tuple[RunStatus, str]:
    """Status of a run whose plan was not done, and the reason; `stopper` ended it, if anybody did."""
    if was_deserted:
        return "invalid", "every load process was lost before the plan ended"
    if stopper is not None:
        return "interrupted", f"the test was ended before its plan, by {stopper}"
    return "interrupted", "stopped before the plan ended"


def planned_requests(options: RunOptions) -> int | None:
    """Number of requests in the plan; None for users plans, which send as fast as is answered."""
    if options.plan.unit != "rps":
        return None
    return options.schedule.count()


def clock_info(clock: Clock, offset: ClockOffset | None, ray: str | None) -> ClockInfo:
    """The run's clock, and the cluster's as far as it is known."""
    return ClockInfo(
        anchor_wall_s=clock.anchor_wall_s,
        anchor_monotonic_s=clock.anchor_monotonic_s,
        offset_s=offset.offset_s if offset else None,
        error_s=offset.error_s if offset else None,
        reason=None if offset else lacking(ray, CLOCK, CONTROLLER_HEALTH),
    )


def probe_info(probe: ProbeState, options: RunOptions, ended_s: float) -> ProbeInfo:
    """Bounds of the probe that polled until `ended_s`, and the time that it took for it."""
    return ProbeInfo(
        rate_per_s=options.probe_rate_per_s,
        budget_ratio=options.observer_budget_ratio,
        busy_s=probe.busy_s,
        watched_s=ended_s - probe.started_s,
    )


def target_info(
    host: str, options: RunOptions, payload: ServePayload, watched: Collection[DeploymentKey]
) -> TargetInfo:
    """Target of the run, without credentials."""
    environ = os.environ if options.embedded else None
    return TargetInfo(
        host=without_credentials(host),
        dashboard=without_credentials(options.dashboard),
        embedded=options.embedded,
        deployments=payload.infos(watched, known_drain_s(environ)),
        watched=tuple(sorted(watched)),
        applications=applications_of(payload, watched),
    )


def with_deployed(target: TargetInfo, seen: Mapping[DeploymentKey, DeploymentInfo]) -> TargetInfo:
    """Return `target` with deployments that an event brought: they are watched too."""
    later = {key: info for key, info in seen.items() if key not in target.watched}
    return msgspec.structs.replace(
        target,
        deployments=target.deployments | later,
        watched=tuple(sorted({*target.watched, *later})),
    )


def with_calls(target: TargetInfo, later: Mapping[str, ApplicationInfo]) -> TargetInfo:
    """Return `target` with the calls that Serve told of only `later`: handles may be made late."""
    known = {
        name: app.with_calls_of(later[name]) if name in later else app
        for name, app in target.applications.items()
    }
    return msgspec.structs.replace(target, applications=known)
