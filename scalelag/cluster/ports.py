"""Free ports of this machine."""

import socket
from collections.abc import Container
from errno import EADDRINUSE
from typing import NamedTuple

from scalelag.errors import UsageError


def free_port(host: str = "127.0.0.1", wanted: int = 0, avoid: Container[int] = ()) -> int:
    """Return a port that is free on `host` and not in `avoid`; `wanted` itself if given.

    Raises OSError if that one is taken.
    """
    while True:
        with socket.socket() as probe:
            # A port whose last connection is still fading away is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, wanted))
            port: int = probe.getsockname()[1]
        if port not in avoid:
            return port


class ListenAddress(NamedTuple):
    """Host and port to listen at."""

    host: str
    port: int


def check_free(address: ListenAddress, flag: str) -> None:
    """Raise UsageError that names `flag` if nothing can listen at `address`."""
    host, port = address
    try:
        free_port(host, port)
    except OSError as error:
        reason = "another program has this port" if error.errno == EADDRINUSE else error.strerror
        raise UsageError(f"{flag} {host}:{port}: {reason}. Name another one.") from error
