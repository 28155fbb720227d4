"""Free ports of this machine."""

import socket
from collections.abc import Container


def free_port(host: str = "127.0.0.1", wanted: int = 0, avoid: Container[int] = ()) -> int:
    """Return a port that is free on `host` and not in `avoid`; `wanted` itself if given.

    Raises OSError if that one is taken.
    """
    while True:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            # A port whose last connection is still fading away is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, wanted))
            port: int = probe.getsockname()[1]
        if port not in avoid:
            return port
