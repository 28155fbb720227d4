"""Addresses of this machine at which a run listens.

Apart from `ports.py`, which the embedded cluster loads too: a Python with another Ray has only Ray.
"""

from errno import EADDRINUSE
from typing import NamedTuple

from scalelag.cluster.ports import free_port
from scalelag.errors import UsageError


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
        place = f"[{host}]" if ":" in host else host
        raise UsageError(f"{flag} {place}:{port}: {reason}. Name another one.") from error
