"""Facts about versions of Ray, 2.10 and later: what came when, and words for what one lacks.

Each was read in the packages of the versions on both sides of it, and tried live on those of
docs/versions.md. A version is a pair, such as `(2, 55)` for 2.55.1.
"""

import re
from collections.abc import Mapping
from typing import Final

Version = tuple[int, int]

OLDEST: Final = (2, 10)
TARGET_REPLICAS: Final = (2, 10)
"""Serve's state has the target number of replicas."""
PLAIN_LOGS: Final = (2, 45)
"""Logs come as they are. Before, a byte stands before each block (`get_logs` in `state_head.py`)."""
SCALER: Final = (2, 51)
"""`POST .../deployments/D/scale` sets a target."""
TOKEN_AUTH: Final = (2, 52)
"""A cluster may demand a token."""
AUTOSCALING_GAUGES: Final = (2, 53)
"""Serve exports what its policy is given, and what it decides."""
SCALER_ALLOWED: Final = (2, 53)
"""That API needs `external_scaler_enabled` in the application's configuration."""
TOPOLOGY: Final = (2, 53)
"""Serve's state says which deployment calls which, and which one is the ingress."""
LOGS_WITH_TOKEN: Final = (2, 54)
"""The dashboard shows its own agents the token. Before, it cannot read logs where one is demanded."""
DELAYS_BY_CLOCK: Final = (2, 55)
"""Delays are seconds. Before, turns of the control loop (`decision_counter`)."""
POLICY_OF_YOUR_OWN_TIMED: Final = (2, 55)
"""Delays, factors and bounds are applied to policies of the user's own too."""
HAPROXY: Final = (2, 55)
"""HAProxy may stand in place of Serve's own proxy; an ingress then drains for 30 s."""
CONTROLLER_HEALTH: Final = (2, 56)
"""Serve's state has the controller's clock, its start and its control loop."""

TARGET_ONGOING_NAMES: Final = (
    "target_ongoing_requests",
    "target_num_ongoing_requests_per_replica",  # before 2.34, beside a null of the new one
)
MAX_ONGOING_NAMES: Final = ("max_ongoing_requests", "max_concurrent_queries")  # before 2.32
FEWER_ONGOING: Final = (2, 32)
"""A replica takes 5 requests at once unless told otherwise. Before, 100."""
UPSCALING_NAMES: Final = ("upscaling_factor", "upscale_smoothing_factor", "smoothing_factor")
DOWNSCALING_NAMES: Final = ("downscaling_factor", "downscale_smoothing_factor", "smoothing_factor")
"""Names of a setting. Ray takes the first that is not null."""

STATUS_SECTIONS: Final[dict[str, str]] = {
    "Usage:": "usage",  # up to 2.45
    "Demands:": "demands",
    "Total Usage:": "usage",
    "Total Demands:": "demands",  # 2.46 to 2.49
    "Pending Demands:": "demands",
}
"""Headings in the text of the cluster status, whatever the version, and the subject of each."""

EVENTS_SINCE: Final[Mapping[str, Version]] = {
    # A Ray job over HTTP, in which the controller names its replicas (`get_serve_instance_details`).
    **dict.fromkeys(("kill_replicas", "kill_node", "kill_controller", "kill_proxy"), OLDEST),
    # Serve's state has the configuration of each application, which the next document names again.
    **dict.fromkeys(("deploy", "delete"), OLDEST),
    "scale": SCALER,
}
"""First version that has what an event of that kind takes, whether a token is demanded or not."""

CLOCK: Final = "the time of the cluster's clock"
"""Words for what comes with CONTROLLER_HEALTH."""

_PROTOBUF_7_BREAKS: Final = ((2, 44), (2, 57))
"""Serve reads `FieldDescriptor.label`, which protobuf 7 has not; 2.57.1 is the first that does not."""


_NEWEST_PYTHON: Final = (
    ((2, 55), (3, 14)),
    ((2, 45), (3, 13)),
    ((2, 34), (3, 12)),
    (OLDEST, (3, 11)),
)
"""Newest Python for which Ray has packages, from that version of Ray on."""


PROTOBUF_7_SIGN: Final = "FieldDescriptor"
"""Name in the error of a deployment that fails for it."""
PROTOBUF_ADVICE: Final = (
    "Serve of Ray 2.44 to 2.56 fails so with protobuf 7: install protobuf<7 beside Ray on every "
    "node."
)


def version_of(text: str | None) -> Version | None:
    """Version in a text such as `2.55.1` or `3.0.0.dev0`; None if there is none."""
    found = re.match(r"(\d{1,9})\.(\d{1,9})", text or "")
    return (int(found[1]), int(found[2])) if found else None


def is_at_least(text: str | None, least: Version) -> bool:
    """Return True if the version in `text` is `least` or later; False if it is not known."""
    version = version_of(text)
    return version is not None and version >= least


def is_before(text: str | None, first: Version) -> bool:
    """Return True if the version in `text` is earlier than `first`; False if it is not known."""
    version = version_of(text)
    return version is not None and version < first


def usual_slots(text: str | None) -> int:
    """Requests that one replica takes at once unless told otherwise; by today's if not known."""
    return 100 if is_before(text, FEWER_ONGOING) else 5


def named(version: Version) -> str:
    """A version in words, such as `Ray 2.55`."""
    return f"Ray {version[0]}.{version[1]}"


def lacking(text: str | None, what: str, since: Version) -> str:
    """Say that the version in `text` does not tell `what`, or since when Ray does."""
    if is_before(text, since):
        return f"Ray {text} does not tell {what}: {named(since)} and later do"
    return f"Ray does not tell {what} (it does since {since[0]}.{since[1]})"


def newest_python(text: str | None) -> Version:
    """Newest version of Python for which the version of Ray in `text` has packages."""
    version = version_of(text) or _NEWEST_PYTHON[0][0]
    return next((python for since, python in _NEWEST_PYTHON if version >= since), (3, 11))


def needs_old_protobuf(text: str | None) -> bool:
    """Return True for a version whose Serve fails with protobuf 7."""
    version = version_of(text)
    first, last = _PROTOBUF_7_BREAKS
    return version is not None and first <= version <= last
