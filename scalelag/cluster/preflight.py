"""Checks before any load is sent: the target answers, accepts us, and is ready."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

import msgspec
import requests

from probes.dashboard import (
    APPLICATIONS_PATH,
    VERSION_PATH,
    Dashboard,
    DirectSession,
    basic_authorization,
    silence_unverified,
    split_user,
)
from probes.serve_state import ApplicationPayload, ServePayload, parse_payload
from scalelag.cluster.urls import check_url
from scalelag.errors import UNREADABLE, RetryAdvice, TargetError
from scalelag.ray_versions import PROTOBUF_7_SIGN, PROTOBUF_ADVICE
from scalelag.record.rows import DeploymentKey
from scalelag.record.secrets import hide_url_secrets
from scalelag.wording import last_line

HEALTH_PATH = "/-/healthz"
"""Answered by Serve's proxy itself. Unlike a real request it starts no replica."""

T = TypeVar("T")

_RETRY_S = 0.25
_ON_ITS_WAY = ("NOT_STARTED", "DEPLOYING")
_NO_MESSAGE = "no message"


class Patience(msgspec.Struct, frozen=True):
    """Longest wait, interval between attempts, and the clock and sleep to wait with."""

    wait_s: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    every_s: float = _RETRY_S

    def retry(self, attempt: Callable[[], T]) -> T:
        """Return the first result of `attempt`, or raise its last TargetError after `wait_s`.

        A TargetError against which waiting does not help is raised at once.
        """
        deadline_s = self.now() + self.wait_s
        while True:
            try:
                return attempt()
            except TargetError as error:
                if error.retry is not RetryAdvice.WAIT:
                    raise
                if self.now() >= deadline_s:
                    raise TargetError(f"{error} (waited {self.wait_s:g} s)") from error
            self.sleep(self.every_s)


class _Version(msgspec.Struct, frozen=True):
    ray_version: str | None = None


def ray_version(dashboard: Dashboard) -> str | None:
    """Version of Ray behind the dashboard; None if it is not reported.

    Raises DashboardError if the dashboard does not answer or denies access.
    """
    reply = dashboard.get(VERSION_PATH)
    try:
        return msgspec.json.decode(reply.body, type=_Version).ray_version
    except UNREADABLE:
        raise TargetError(
            f"{dashboard.url}{VERSION_PATH} does not answer like a Ray dashboard: check --dashboard.",
            retry=RetryAdvice.NEVER,
        ) from None


class ReadyState(msgspec.Struct, frozen=True):
    """Serve's state, and when it was asked for, Unix seconds."""

    payload: ServePayload
    sent_s: float


def ready_payload(
    dashboard: Dashboard, wanted: Sequence[DeploymentKey], apps: Sequence[str] = ()
) -> ServePayload:
    """Serve's state, as by `ready_state`."""
    return ready_state(dashboard, wanted, apps).payload


def ready_state(
    dashboard: Dashboard, wanted: Sequence[DeploymentKey], apps: Sequence[str] = ()
) -> ReadyState:
    """Serve's state, if every application that was asked for is RUNNING.

    `wanted` names the deployments to watch, `apps` the applications; with neither, one must run.
    Raises TargetError if they are not ready; the error says whether waiting may help.
    """
    reply = dashboard.get(APPLICATIONS_PATH)
    try:
        payload = parse_payload(reply.body)
    except TargetError as error:
        raise TargetError(
            f"{dashboard.url} does not answer like a Ray dashboard: check --dashboard. {error}",
            retry=RetryAdvice.NEVER,
        ) from error
    if not payload.applications:
        raise TargetError(
            f"{dashboard.url} has no Serve application: deploy one (serve run ..., or --app NAME)."
        )
    missing = [key for key in wanted if _absent(key, payload)]
    if missing:
        raise TargetError(
            f"No deployment {', '.join(missing)} at {dashboard.url}. Name one of "
            f"{', '.join(sorted(payload.deployments()))}, as app/Deployment.",
            retry=RetryAdvice.NEVER,
        )
    names = set(apps) | {payload.application_of(key) for key in wanted}
    for name in sorted(names or _deciding(payload)):
        _check_application(name, payload)
    return ReadyState(payload, reply.sent_s)


def _deciding(payload: ServePayload) -> Iterable[str]:
    """Applications that decide where none was asked for: none if one runs, else all.

    One that may still become ready stands before those that failed.
    """
    failed = {name: app.status == "DEPLOY_FAILED" for name, app in payload.applications.items()}
    if any(app.status == "RUNNING" for app in payload.applications.values()):
        return ()
    return [name for name in failed if not failed[name]][:1] or failed


def watched_deployments(
    payload: ServePayload, wanted: Collection[DeploymentKey]
) -> frozenset[DeploymentKey]:
    """Deployments to watch: the `wanted`, or else all of the applications that are RUNNING."""
    running = (
        key
        for key in payload.deployments()
        if payload.applications[payload.application_of(key)].status == "RUNNING"
    )
    return frozenset(wanted or running)


def unready_neighbours(payload: ServePayload, watched: Collection[DeploymentKey]) -> dict[str, str]:
    """Warning about each application that is not RUNNING and of which nothing is `watched`."""
    ours = {payload.application_of(key) for key in watched}
    return {
        name: f'application "{name}" is {app.status} and is not watched, so it has no part in the '
        f"verdict. {_said(app)}{_what_to_do(app)}; to test it, name one of its deployments with "
        f"--deployment {name}/NAME{_and_wait(app)}."
        for name, app in sorted(payload.applications.items())
        if name not in ours and app.status not in ("RUNNING", "DELETING")
    }


def _said(app: ApplicationPayload) -> str:
    """Message of Serve on an application, as a sentence; empty if there is none."""
    why = _why(app)
    return "" if why == _NO_MESSAGE else f"Serve says: {last_line(why)}. "


def _what_to_do(app: ApplicationPayload) -> str:
    if app.status in _ON_ITS_WAY:
        return "It waits for its first replicas"
    return "Mend or delete it"


def _and_wait(app: ApplicationPayload) -> str:
    return " and --wait 120" if app.status in _ON_ITS_WAY else ""


def _absent(key: DeploymentKey, payload: ServePayload) -> bool:
    """Return whether a deployment does not exist; one of a failed application may still appear."""
    app = payload.applications.get(payload.application_of(key))
    return app is None or (app.status == "RUNNING" and key not in payload.deployments())


def _check_application(name: str, payload: ServePayload) -> None:
    app = payload.applications.get(name)
    if app is None:
        raise TargetError(
            f'No Serve application "{name}". Name one of {", ".join(sorted(payload.applications))}.',
            retry=RetryAdvice.NEVER,
        )
    if app.status == "DEPLOY_FAILED":
        raise TargetError(
            f'Application "{name}" failed to deploy: {_why(app)}', retry=RetryAdvice.AGAIN
        )
    if app.status != "RUNNING":
        raise TargetError(f'Application "{name}" is {app.status}, not RUNNING: {_why(app)}')


def _why(app: ApplicationPayload) -> str:
    """Messages of an application and its deployments; of a long text the end, with the error."""
    said = [app.message, *(d.message for d in app.deployments.values())]
    told = " ".join(message.strip() for message in said if message.strip())
    text = hide_url_secrets(told) or _NO_MESSAGE
    advice = f" {PROTOBUF_ADVICE}" if PROTOBUF_7_SIGN in text else ""
    return (text if len(text) <= 2000 else "... " + text[-2000:]) + advice


def check_endpoint(host: str, timeout_s: float = 3.0) -> None:
    """Request Serve's health page from `host`; any HTTP answer is good.

    Raises UsageError if `host` is no URL, TargetError if nothing answers.
    """
    check_url(host)
    bare, user = split_user(host)
    url = bare.rstrip("/") + HEALTH_PATH
    silence_unverified()
    headers = {} if user is None else {"Authorization": basic_authorization(user)}
    try:
        with DirectSession() as session:
            # Locust does not check the endpoint's certificate either; the dashboard's is checked.
            session.get(
                url,
                timeout=timeout_s,
                verify=False,
                allow_redirects=False,
                headers=headers,
                stream=True,  # its head says enough, and it may have no end
            ).close()
    except requests.RequestException as error:
        refused = "connection refused" if "refused" in str(error) else type(error).__name__
        raise TargetError(
            f"Nothing answers HTTP at {url} ({refused}): check that Serve's proxy runs there, and that "
            "--host is right."
        ) from error
