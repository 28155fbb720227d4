"""Causes of late steps and failed requests, and the evidence that each rests on."""

from typing import Literal

import msgspec

from scalelag.record.rows import DeploymentKey

Cause = Literal[
    "resources",
    "state_sync",
    "health_check",
    "slow_init",
    "network",
    "bounds",
    "configured_delay",
    "oscillation",
    "kept_replicas",
]


class Evidence(msgspec.Struct, frozen=True):
    """One thing that a finding rests on. `at_s` counts from the plan's start; None: the whole run.

    `text` is in our words, `raw` is what Ray said.
    """

    text: str
    at_s: float | None = None
    node: str | None = None
    raw: str | None = None


class Finding(msgspec.Struct, frozen=True):
    """A cause that the evidence supports, the time it explains, and what to do about it.

    `seconds` of the time from `from_s` to `to_s`, which count from the plan's start, are its doing;
    None if it made nothing late. `tell_apart` is set if another cause fits the same facts, and says
    how to find out which it was. `deployment` is the one whose limit or settings it is, if that is
    another than the one reported on. `named` are words for it that say more than the cause does.
    `command` tries the advice by simulation, with RUN for the run directory; None if it cannot.
    """

    cause: Cause
    evidence: tuple[Evidence, ...]
    advice: str
    seconds: float | None = None
    from_s: float | None = None
    to_s: float | None = None
    tell_apart: str | None = None
    deployment: DeploymentKey | None = None
    named: str | None = None
    command: str | None = None


class FailureReport(msgspec.Struct, frozen=True):
    """Failed requests of one load step, and why; `errors` counts them by kind.

    `first_s` and `last_s` count from the plan's start. `cause` is None if `findings` name none,
    or several that fit. `notes` say what some of the kinds mean by themselves.
    """

    index: int
    first_s: float
    last_s: float
    count: int
    errors: dict[str, int]
    cause: Cause | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


class EvidenceReport(msgspec.Struct, frozen=True):
    """Evidence from the cluster's logs. `node_error_s` bounds the error of each node's clock.

    `reason` says why exact moments are missing, None if none are.
    """

    log_lines: int = 0
    snapshots: int = 0
    node_error_s: dict[str, float] = {}
    unread: int = 0
    reason: str | None = None
