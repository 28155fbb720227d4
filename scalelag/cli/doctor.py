"""`scalelag doctor`: checks of everything on a cluster that a run relies on."""

import os
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from probes.dashboard import APPLICATIONS_PATH, Dashboard, token_from_environment
from probes.serve_state import DeploymentPayload, ServePayload, parse_payload
from scalelag.cluster.haproxy import has_haproxy
from scalelag.cluster.left_behind import journal_folder
from scalelag.cluster.preflight import (
    Patience,
    check_endpoint,
    ray_version,
    ready_payload,
    watched_deployments,
)
from scalelag.cluster.room import measure_room
from scalelag.cluster.take_away import how_to_undo, kept_on, left_on, take_away
from scalelag.cluster.urls import check_url, without_credentials
from scalelag.errors import EXIT_PASSED, EXIT_TARGET, ScalelagError
from scalelag.foreign import sanitized
from scalelag.options.ca_file import check_ca
from scalelag.plugin.leader.start_lint import start_findings
from scalelag.ray_versions import CLOCK, CONTROLLER_HEALTH, TARGET_ONGOING_NAMES, lacking
from scalelag.record.clock import clock_offset
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.effective import around_it
from scalelag.wording import count

_OFFSET_POLLS = 5
_GONE_WITHIN_S = 60.0
_HAPROXY = (
    "HAProxy in place of Serve's own: a stopped replica of an ingress drains for 30 s, and each change "
    "of them reloads HAProxy"
)


class _Findings:
    """Table of findings; `failed` if one of them is bad."""

    def __init__(self) -> None:
        self.table = Table(show_header=False, box=None, pad_edge=False)
        self.failed = False

    def good(self, what: str, text: str) -> None:
        self._add("ok", "green", what, text)

    def warn(self, what: str, text: str) -> None:
        self._add("warn", "yellow", what, text)

    def bad(self, what: str, text: str) -> None:
        self.failed = True
        self._add("FAIL", "bold red", what, text)

    def _add(self, mark: str, style: str, what: str, text: str) -> None:
        self.table.add_row(Text(mark, style=style), Text(sanitized(what)), Text(sanitized(text)))


def doctor(
    dashboard: str,
    host: str | None,
    *,
    verify: bool | str,
    wait_s: float,
    headers: Mapping[str, str] | None = None,
    takes_away: bool = False,
) -> int:
    """Check a cluster: dashboard, applications, autoscaling, endpoint, clock, room, settings."""
    findings = _Findings()
    check_url(dashboard)
    if isinstance(verify, str):
        check_ca(verify)
    try:
        token = token_from_environment(os.environ)
        target = Dashboard(dashboard, time.time, token, verify, headers)
        patience = Patience(wait_s, time.monotonic, time.sleep)
        patience.retry(lambda: _look_for_left(target, findings, takes_away=takes_away))
        _examine(target, host, patience, findings)
    except ScalelagError as error:
        findings.bad("target", str(error))
    Console().print(findings.table)
    return EXIT_TARGET if findings.failed else EXIT_PASSED


def _look_for_left(target: Dashboard, findings: _Findings, *, takes_away: bool) -> None:
    """Say what killed commands of ours left there, or undo it."""
    folder = journal_folder(os.environ)
    entries = left_on(target, folder)
    if entries and takes_away:
        patience = Patience(_GONE_WITHIN_S, time.monotonic, time.sleep)
        for line in take_away(target, entries, patience):
            findings.good("left behind", line)
    elif entries:
        findings.warn("left behind", how_to_undo(target.url, entries))
    elif takes_away:
        kept = "; ".join(kept_on(target, folder))
        findings.good("left behind", kept or "nothing of ours that is still there")


def _examine(target: Dashboard, host: str | None, patience: Patience, findings: _Findings) -> None:
    version = patience.retry(lambda: ray_version(target))
    findings.good("dashboard", f"{target.url} answers and accepts us, Ray {version or 'unknown'}")
    try:
        patience.retry(lambda: ready_payload(target, []))
    except ScalelagError as error:
        findings.bad("applications", str(error))
    payload = parse_payload(target.get(APPLICATIONS_PATH).body)
    running = [name for name, app in payload.applications.items() if app.status == "RUNNING"]
    if running and not findings.failed:
        findings.good("applications", f"RUNNING: {', '.join(sorted(running))}")
    _describe(payload, findings)
    if host is None:
        findings.warn("endpoint", "not checked: give --host URL")
    else:
        try:
            check_endpoint(host)
            findings.good("endpoint", f"{without_credentials(host)} answers HTTP")
        except ScalelagError as error:
            findings.bad("endpoint", str(error))
    if has_haproxy(target, payload, version):
        findings.good("proxy", _HAPROXY)
    _clock(target, version, findings)
    _lint(target, payload, version, findings)


def _describe(payload: ServePayload, findings: _Findings) -> None:
    infos = payload.infos()
    for key, deployment in sorted(payload.deployments().items()):
        text = described(deployment, infos[key])
        (findings.warn if infos[key].autoscaling is None else findings.good)(key, text)


def described(deployment: DeploymentPayload, info: DeploymentInfo) -> str:
    """One line on a deployment: its replicas, its bounds and delays, and what else is in effect."""
    scales = "no autoscaling: its number of replicas is fixed"
    if info.external_scaler:
        scales = "no autoscaling"
    elif info.autoscaling is not None:
        scales = _autoscaling(info.autoscaling)
    parts = (
        f"{count(len(deployment.replicas), 'replica')}, {deployment.status}",
        scales,
        *around_it(info),
    )
    return "; ".join(parts)


def _autoscaling(config: dict[str, Any]) -> str:
    names = (
        "min_replicas",
        "max_replicas",
        *TARGET_ONGOING_NAMES,
        "metrics_interval_s",
        "look_back_period_s",
        "upscale_delay_s",
        "downscale_delay_s",
    )
    numbers = {name: config.get(name) for name in names}
    newest, *older = TARGET_ONGOING_NAMES
    if numbers[newest] is not None:
        numbers = {name: value for name, value in numbers.items() if name not in older}
    return ", ".join(f"{n} {v:g}" for n, v in numbers.items() if isinstance(v, int | float))


def _clock(target: Dashboard, ray: str | None, findings: _Findings) -> None:
    offsets = [
        clock_offset(reply.sent_s, reply.received_s, health.timestamp_s)
        for reply in (target.get(APPLICATIONS_PATH) for _ in range(_OFFSET_POLLS))
        if (health := parse_payload(reply.body).controller()) and health.timestamp_s is not None
    ]
    if not offsets:
        findings.warn("clock", f"not known: {lacking(ray, CLOCK, CONTROLLER_HEALTH)}")
        return
    best = min(offsets, key=lambda offset: offset.error_s)
    text = f"the cluster's is {best.offset_s:+.3f} s from ours, within {best.error_s:.3f} s"
    (findings.good if abs(best.offset_s) < 1 else findings.warn)("clock", text)


def _lint(target: Dashboard, payload: ServePayload, ray: str | None, findings: _Findings) -> None:
    watched = watched_deployments(payload, [])
    room = measure_room(target, payload, watched)
    if room.free is None:
        findings.warn("room", room.reason or "unknown")
    elif not room.lacks:
        findings.good("room", "enough free for max_replicas of every deployment")
    # Variables of this shell hold for a cluster started from it; those of others cannot be read.
    found = start_findings(payload, watched, room.lacks, os.environ, ray)
    for finding in found:
        about = finding.deployment or "configuration"
        findings.warn(about, f"{finding.text} [{finding.rule}]")
    if not found:
        findings.good("configuration", "no setting does harm or has no effect")
