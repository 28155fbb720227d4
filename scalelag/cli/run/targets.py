"""Target of an attempt: a cluster of our own, or an existing one, left as it was found."""

import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from probes.dashboard import Dashboard, token_from_environment
from scalelag.cli.run.signals import undisturbed
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.deploy import IsOurs, as_deployed, deploy, undeploy
from scalelag.cluster.embedded import EmbeddedCluster
from scalelag.cluster.haproxy import VARIABLE, check_haproxy
from scalelag.cluster.ignored_settings import dropped_settings
from scalelag.cluster.left_behind import journal_folder, orphans
from scalelag.cluster.preflight import Patience, check_endpoint, ready_payload
from scalelag.cluster.ray_environment import RayChoice, python_with_ray
from scalelag.cluster.take_away import how_to_undo, left_on, names_of, noted, take_away
from scalelag.console import say
from scalelag.errors import TargetError, UsageError
from scalelag.foreign import sanitized

DEPLOY_WAIT_S = 60.0


class Endpoint(msgspec.Struct, frozen=True):
    """A target that is ready. `token` is set if our own environment does not hold it.

    `grpc_host` is None if the option `--grpc-host` holds.
    """

    host: str
    dashboard: str
    token: str | None = None
    grpc_host: str | None = None


@contextmanager
def embedded(
    apps: Sequence[AppConfig],
    cpus: int,
    wait_s: float,
    grpc_servicers: Sequence[str],
    ray: RayChoice | None,
    folder: Path,
) -> Generator[Endpoint]:
    """Start a cluster with `apps` on it, and end it with the block. Raises TargetError.

    Modules of the applications are looked for in `folder` first.
    """
    python = python_with_ray(ray, os.environ) if ray else None
    if os.environ.get(VARIABLE) == "1":
        check_haproxy(python or Path(sys.executable))
    say(f"starting an embedded Ray cluster{f' of Ray {ray.version}' if ray else ''} ...")
    with EmbeddedCluster(cpus, grpc_servicers, python, folder=folder) as cluster:
        urls = cluster.urls
        if urls is None:
            raise RuntimeError("a cluster that was entered has URLs")
        dashboard = Dashboard(urls.dashboard, time.time, cluster.token)
        names = deploy(dashboard, apps)
        say(f"deploying {', '.join(names)} ...")
        _await_ready(dashboard, apps, names, wait_s)
        yield Endpoint(urls.host, urls.dashboard, cluster.token, urls.grpc_host)


@contextmanager
def existing(
    apps: Sequence[AppConfig],
    endpoint: Endpoint,
    *,
    verify: bool | str,
    headers: Mapping[str, str],
    wait_s: float,
    left: list[str],
    replacing: Sequence[AppConfig] = (),
) -> Generator[Endpoint]:
    """Deploy `apps` beside what is there, and delete them when the block ends. Raises TargetError.

    `left` holds the names of those that an earlier attempt could not delete; they go first. Events of
    ours may put those of `replacing` in their place; what somebody else has put there stays.
    """
    token = token_from_environment(os.environ)
    dashboard = Dashboard(endpoint.dashboard, time.time, token, verify, headers)
    folder = journal_folder(os.environ)
    _check_left_behind(dashboard, folder, apps)
    try:
        with _beside(dashboard, apps, endpoint, wait_s, left, as_deployed([*apps, *replacing])):
            yield endpoint
    finally:
        _give_back(dashboard, folder)


@contextmanager
def _beside(
    dashboard: Dashboard,
    apps: Sequence[AppConfig],
    endpoint: Endpoint,
    wait_s: float,
    left: list[str],
    is_ours: IsOurs,
) -> Generator[None]:
    """Deploy `apps`, if there are any, and delete them when the block ends."""
    if not apps:
        yield
        return
    patience = Patience(wait_s, time.monotonic, time.sleep)
    if endpoint.host:
        patience.retry(lambda: check_endpoint(endpoint.host))
    if left:
        patience.retry(lambda: _take_away(dashboard, left, is_ours))
    with noted(journal_folder(os.environ), dashboard.url, apps, left):
        try:
            names = patience.retry(lambda: deploy(dashboard, apps, left))
            _await_ready(dashboard, apps, names, wait_s)
            yield
        finally:
            if left:
                with undisturbed():
                    _take_away(dashboard, left, is_ours)


def _give_back(dashboard: Dashboard, folder: Path) -> None:
    """Give back what events of a load process of ours changed, if it was killed before it did."""
    entries = [one for one in orphans(folder, dashboard.url) if one.parent == os.getpid()]
    if not entries:
        return
    with undisturbed():
        try:
            for line in take_away(dashboard, entries, _patience()):
                say(sanitized(line))
        except TargetError as error:
            say(sanitized(f"warning: {error} {how_to_undo(dashboard.url, entries)}"))


def _check_left_behind(dashboard: Dashboard, folder: Path, apps: Sequence[AppConfig]) -> None:
    """Say what a killed command left there. Raises UsageError if one of `apps` has its name."""
    try:
        lost = left_on(dashboard, folder)
    except TargetError:
        return  # whoever needs the dashboard next says what is wrong with it
    if {str(app.get("name", "default")) for app in apps} & set(names_of(lost)):
        raise UsageError(f"{how_to_undo(dashboard.url, lost)} Then run again.")
    if lost:
        say(f"warning: {how_to_undo(dashboard.url, lost)}")


def _take_away(dashboard: Dashboard, left: list[str], is_ours: IsOurs) -> None:
    undeploy(dashboard, left, _patience(), is_ours)
    left.clear()


def _patience() -> Patience:
    return Patience(DEPLOY_WAIT_S, time.monotonic, time.sleep)


def _await_ready(
    dashboard: Dashboard, apps: Sequence[AppConfig], names: Sequence[str], wait_s: float
) -> None:
    """Wait until the applications run, then say which of their settings Serve ignored."""
    patience = Patience(wait_s, time.monotonic, time.sleep)
    payload = patience.retry(lambda: ready_payload(dashboard, [], names))
    for finding in dropped_settings(apps, payload):
        say(finding.line)
