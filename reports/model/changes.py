"""Changes during a run that neither the load nor the autoscaler made."""

from typing import Literal

import msgspec

ChangeKind = Literal["config", "update", "deleted", "deployed", "capacity"]


class ChangeReport(msgspec.Struct, frozen=True):
    """One change, between `lo_s` and `hi_s`; times count from the plan's start.

    `config`: settings of a deployment; `update`: its replicas were replaced or reconfigured;
    `deleted` and `deployed`: it went and came; `capacity`: Serve's target capacity. `deployment` is
    None for what concerns all. `what` is in words, such as "max_replicas 2 -> 5".
    """

    at_s: float
    lo_s: float
    hi_s: float
    kind: ChangeKind
    deployment: str | None
    what: str
