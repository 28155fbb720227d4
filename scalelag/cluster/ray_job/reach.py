"""Address at which the nodes of a cluster reach the master on this machine."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from scalelag.cluster.ports import free_port
from scalelag.cluster.urls import hide_credentials
from scalelag.errors import TargetError, UsageError

EVERYWHERE = "0.0.0.0"  # noqa: S104  listening everywhere is for addresses that are not our own


class Address(msgspec.Struct, frozen=True):
    """Address at which others reach us (`host`, `port`), and the address to listen on."""

    host: str
    port: int
    listen: str


def master_address(dashboard: str, wanted: str | None) -> Address:
    """Address at which workers on the cluster of `dashboard` reach a master here, on a free port.

    `wanted` is HOST or HOST:PORT as others see it. Without it, the address is the one from which this
    machine reaches the dashboard. Raises UsageError if `wanted` is no address, TargetError if there is
    no route to the dashboard.
    """
    if wanted is None:
        host, port = _own_address(dashboard), 0
    else:
        host, port = _parsed(wanted)
    listen = host if _is_own(host) else EVERYWHERE
    return Address(host, port or free_port(listen), listen)


def _parsed(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port or 0
    except ValueError:
        pass
    raise UsageError(
        f'--master-host "{text}" is no address: write HOST or HOST:PORT, as the nodes reach it.'
    )


def _own_address(dashboard: str) -> str:
    parts = urlsplit(dashboard)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        family, *_, address = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_DGRAM)[0]
        # This sends nothing: it only selects one of our addresses.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise TargetError(
            f"No route to {hide_credentials(dashboard)} ({error.strerror or error}): check --dashboard."
        ) from error


def _is_own(host: str) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind((host, 0))
        return True
    return False
