"""Ports for processes that are started later."""

import random
import socket
from typing import Final

# Below the ports that connections are given by themselves, above those of Ray's workers.
PORTS: Final = range(20_000, 32_000)


def free_port() -> int:
    """Port of 127.0.0.1 that nothing listens on.

    It is drawn at random, so that tests that run at once do not draw the same one.
    """
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
