"""An application as a whole: its deployments, and who calls whom."""

import msgspec

from scalelag.record.rows import DeploymentKey


class ApplicationNode(msgspec.Struct, frozen=True):
    """One deployment of an application, and the deployments that it `calls`.

    `fixed_replicas` is None for one that scales between `min_replicas` and `max_replicas`. A replica
    takes `slots` requests at once (max_ongoing_requests). `slots_used` is the largest part of the
    slots of all RUNNING replicas that was in use through the last quarter of a load step. `is_limit`:
    it holds the whole application up, since it is full and nothing that it calls is.
    """

    deployment: DeploymentKey
    calls: tuple[DeploymentKey, ...] = ()
    fixed_replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    slots: int | None = None
    slots_used: float | None = None
    is_limit: bool = False


class ApplicationReport(msgspec.Struct, frozen=True):
    """An application; `ingress` takes the requests for `route_prefix`.

    `ingress` and the calls are not known for `reason`.
    """

    deployments: tuple[ApplicationNode, ...]
    route_prefix: str | None = None
    ingress: DeploymentKey | None = None
    reason: str | None = None
