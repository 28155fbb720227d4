"""At which address of this machine the nodes of a cluster reach us."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from scalelag.errors import TargetError, UsageError

EVERYWHERE = "0.0.0.0"  # noqa: S104  listening everywhere is for addresses that are not our own


class Address(msgspec.Struct, frozen=True):
    """Where others reach us, `host` and `port`, and the address that we listen on."""

    host: str
    port: int
    listen: str


def leader_address(dashboard: str, wanted: str | None) -> Address:
    """Where workers on the cluster of `dashboard` reach a leader here, on a port that is free.

    `wanted` is HOST or HOST:PORT as others see it; without it, the address by which this machine
    reaches the dashboard. Raises UsageError for what is no address, TargetError where there is no
    way to the dashboard.
    """
    if wanted is None:
        host, port = _own_address(dashboard), 0
    else:
        host, port = _parsed(wanted)
    listen = host if _is_own(host) else EVERYWHERE
    return Address(host, port or _free_port(listen), listen)


def _parsed(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port or 0
    except ValueError:
        pass
    raise UsageError(f'--master-host "{text}": write HOST or HOST:PORT, as the nodes reach it.')


def _own_address(dashboard: str) -> str:
    parts = urlsplit(dashboard)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        # Nothing is sent: it only asks which of our addresses would be taken.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((parts.hostname or "", port))
            return str(probe.getsockname()[0])
    except OSError as error:
        raise TargetError(
            f"No way to {dashboard} ({error.strerror or error}): is --dashboard right?"
        ) from error


def _is_own(host: str) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind((host, 0))
        return True
    return False


def _free_port(listen: str) -> int:
    with socket.socket() as probe:
        probe.bind((listen, 0))
        return int(probe.getsockname()[1])
