"""Events of a run: checked against the target before the load, and those by HTTP carried out."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from probes.dashboard import Dashboard, Reply
from probes.serve_state import ServePayload
from scalelag.cluster.apps import AppConfig, read_config
from scalelag.cluster.deploy import redeploy, remove
from scalelag.cluster.ray_job.kill import check_jobs
from scalelag.cluster.scaler import check_scaler, post_target
from scalelag.errors import RetryAdvice, TargetError, UsageError
from scalelag.plan.events import KnownNames, PlannedEvent, resolved
from scalelag.ray_versions import EVENTS_SINCE, is_before, named
from scalelag.record.rows import DeploymentKey

_READ = "--event: deploy"


class ReadyEvent(msgspec.Struct, frozen=True):
    """An event that was checked. `app` and `deployment` are names of what it is on, None for others.

    `apps` are those that it deploys.
    """

    index: int
    event: PlannedEvent
    app: str | None = None
    deployment: str | None = None
    apps: tuple[AppConfig, ...] = ()

    @property
    def app_names(self) -> tuple[str, ...]:
        """Names of the applications that it deploys."""
        return tuple(str(app.get("name", "default")) for app in self.apps)

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of the applications that it deploys, deletes or scales."""
        return self.app_names if self.app is None or self.event.kills else (self.app,)


def apps_to_deploy(events: Sequence[PlannedEvent]) -> list[AppConfig]:
    """Applications that events deploy.

    Raises UsageError for a file that is not there, or is no Serve config.
    """
    return [app for event in events for app in _apps_of(event)]


def ready_events(
    events: Sequence[PlannedEvent],
    there: ServePayload,
    watched: Collection[DeploymentKey],
    dashboard: Dashboard,
    ray: str | None,
) -> tuple[ReadyEvent, ...]:
    """The events with full names, numbered from 1.

    An event may be on what one before it deploys. Raises UsageError for a name that is not there,
    TargetError for what the target would refuse.
    """
    owners = {key: there.application_of(key) for key in watched}
    apps = set(owners.values())
    ready: list[ReadyEvent] = []
    if any(event.kills for event in events):
        check_jobs(dashboard)
    for index, planned in enumerate(events, start=1):
        _check_version(planned, ray)
        event = resolved(planned, KnownNames(owners, apps))
        if event.kind == "scale" and event.name is not None:
            check_scaler(there, event.name, ray)
        deployed = _apps_of(event)
        ready.append(ReadyEvent(index, event, *_names(event, owners), deployed))
        check_replaced(event, ready[-1].changes, there)
        apps.update(ready[-1].app_names)
        owners |= _named_in(deployed)
    return tuple(ready)


def _check_version(event: PlannedEvent, ray: str | None) -> None:
    since = EVENTS_SINCE[event.kind]
    if is_before(ray, since):
        raise TargetError(
            f'--event "{event.at_s:g}s: {event.text}": there is what it takes since {named(since)}, '
            f"and this is {ray}. Leave it out, or test a newer version.",
            retry=RetryAdvice.NEVER,
        )


def _names(
    event: PlannedEvent, owners: Mapping[DeploymentKey, str]
) -> tuple[str | None, str | None]:
    if event.name is None or event.kind == "deploy":
        return None, None
    if not event.of_deployment:
        return event.name, None
    app = owners[event.name]
    return app, event.name[len(app) + 1 :]


def _named_in(apps: Sequence[AppConfig]) -> dict[DeploymentKey, str]:
    """Deployments that a config file names, each with its application."""
    named = ((str(app.get("name", "default")), app.get("deployments") or ()) for app in apps)
    return {f"{name}/{one['name']}": name for name, listed in named for one in listed}


def _apps_of(event: PlannedEvent) -> tuple[AppConfig, ...]:
    if event.kind != "deploy" or event.name is None:
        return ()
    return tuple(read_config(Path(event.name), _READ))


def check_replaced(event: PlannedEvent, apps: Collection[str], there: ServePayload) -> None:
    """Raise UsageError if the event deletes or replaces an application of `apps` from Python.

    Serve has no configuration of it: nothing could deploy it again.
    """
    for name in sorted(there.applications.keys() & apps):
        if event.of_applications and there.applications[name].deployed_app_config is None:
            reason = (
                "Serve's REST API does not delete it"
                if event.kind == "delete"
                else "nothing could deploy it again afterwards"
            )
            raise UsageError(
                f'--event "{event.at_s:g}s: {event.text}": the application {name} was deployed from '
                f"Python, and {reason}. Deploy it from a Serve config (serve deploy, or --app)."
            )


def carry_out(dashboard: Dashboard, ready: ReadyEvent) -> Reply:
    """Carry out an event that takes one request. Raises TargetError or UsageError with the reason."""
    match ready.event.kind:
        case "deploy":
            return redeploy(dashboard, ready.apps)
        case "delete":
            return remove(dashboard, [ready.app or ""])
        case "scale":
            return post_target(
                dashboard, ready.app or "", ready.deployment or "", ready.event.count or 0
            )
        case _:
            raise ValueError(f"{ready.event.kind} takes a job")
