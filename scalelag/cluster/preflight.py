"""Is the target there, does it let us in, is it ready? Asked before any load is sent."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import requests

from probes.dashboard import (
    APPLICATIONS_PATH,
    VERSION_PATH,
    Dashboard,
    silence_unverified,
)
from probes.serve_state import ApplicationPayload, ServePayload, parse_payload
from scalelag.errors import TargetError, UsageError
from scalelag.record.rows import DeploymentKey

HEALTH_PATH = "/-/healthz"
"""Answered by Serve's proxy itself: asking it starts no replica, as a real request would."""

T = TypeVar("T")

_RETRY_S = 0.25


class Patience(msgspec.Struct, frozen=True):
    """How long to wait, how often to look, and the clock and the sleep to wait with."""

    wait_s: float
    now: Callable[[], float]
    sleep: Callable[[float], None]
    every_s: float = _RETRY_S

    def retry(self, attempt: Callable[[], T]) -> T:
        """First result of `attempt`; its last TargetError once `wait_s` are over.

        A HopelessError is raised at once, and so is what is `lasting`.
        """
        deadline_s = self.now() + self.wait_s
        while True:
            try:
                return attempt()
            except HopelessError:
                raise
            except TargetError as error:
                if error.lasting:
                    raise
                if self.now() >= deadline_s:
                    raise TargetError(f"{error} (waited {self.wait_s:g} s)") from error
            self.sleep(self.every_s)


class HopelessError(TargetError):
    """Waiting will not help; deploying it once more may, unless it is `lasting`."""


class _Version(msgspec.Struct, frozen=True):
    ray_version: str | None = None


def ray_version(dashboard: Dashboard) -> str | None:
    """Version of Ray behind the dashboard; None where it does not tell.

    Raises DashboardError where it does not answer or does not let us in.
    """
    reply = dashboard.get(VERSION_PATH)
    try:
        return msgspec.json.decode(reply.body, type=_Version).ray_version
    except msgspec.MsgspecError:
        raise HopelessError(
            f"{dashboard.url}{VERSION_PATH} answers, but not as a Ray dashboard does: "
            "is --dashboard right?",
            lasting=True,
        ) from None


def ready_payload(
    dashboard: Dashboard, wanted: Sequence[DeploymentKey], apps: Sequence[str] = ()
) -> ServePayload:
    """Serve's state, once every application that is watched is RUNNING.

    `wanted` names the deployments to watch, `apps` the applications; with neither, all must run.
    Raises TargetError where it is not ready (yet), HopelessError where it never will be.
    """
    reply = dashboard.get(APPLICATIONS_PATH)
    try:
        payload = parse_payload(reply.body)
    except TargetError as error:
        raise HopelessError(
            f"{dashboard.url} answers, but not as a Ray dashboard does: is --dashboard right? "
            f"{error}",
            lasting=True,
        ) from error
    if not payload.applications:
        raise TargetError(
            f"{dashboard.url} has no Serve application: deploy one (serve run ..., or --app NAME)."
        )
    missing = [key for key in wanted if _absent(key, payload)]
    if missing:
        raise HopelessError(
            f"No deployment {', '.join(missing)} at {dashboard.url}; there is "
            f"{', '.join(sorted(payload.deployments()))} (write app/Deployment).",
            lasting=True,
        )
    names = set(apps) | {key.partition("/")[0] for key in wanted}
    for name in sorted(names or payload.applications):
        _check_application(name, payload)
    return payload


def _absent(key: DeploymentKey, payload: ServePayload) -> bool:
    """Whether there is no such deployment; one of an application that failed may yet be listed."""
    app = payload.applications.get(key.partition("/")[0])
    return app is None or (app.status == "RUNNING" and key not in payload.deployments())


def _check_application(name: str, payload: ServePayload) -> None:
    app = payload.applications.get(name)
    if app is None:
        raise HopelessError(
            f'No Serve application "{name}"; there is {", ".join(sorted(payload.applications))}.',
            lasting=True,
        )
    if app.status == "DEPLOY_FAILED":
        raise HopelessError(f'Application "{name}" failed to deploy: {_why(app)}')
    if app.status != "RUNNING":
        raise TargetError(f'Application "{name}" is {app.status}, not RUNNING: {_why(app)}')


def _why(app: ApplicationPayload) -> str:
    """What the application and its deployments say; of much, the end: it names the error."""
    said = [app.message, *(d.message for d in app.deployments.values())]
    text = " ".join(message.strip() for message in said if message.strip()) or "no message"
    return text if len(text) <= 2000 else "... " + text[-2000:]


def check_url(text: str) -> None:
    """Raise UsageError where `text` is no URL of a server."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f'"{text}" is no URL; write http://HOST:PORT')


def check_endpoint(host: str, timeout_s: float = 3.0) -> None:
    """Ask `host` for Serve's health page; any HTTP answer will do.

    Raises UsageError where `host` is no URL, TargetError where nothing answers.
    """
    check_url(host)
    url = host.rstrip("/") + HEALTH_PATH
    silence_unverified()
    try:
        # Locust does not check the endpoint's certificate either; the dashboard's is checked.
        requests.get(url, timeout=timeout_s, verify=False, allow_redirects=False)  # noqa: S501
    except requests.RequestException as error:
        refused = "connection refused" if "refused" in str(error) else type(error).__name__
        raise TargetError(
            f"Nothing answers HTTP at {url} ({refused}): is Serve's proxy there, and --host right?"
        ) from error


def without_credentials(url: str) -> str:
    """`url` without user name and password, fit for records and reports."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl()
