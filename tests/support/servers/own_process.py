"""Servers of the tests, each in a process of its own that ends when its standard input closes.

The module of a server is its command: once it listens it calls `announce` with its address, and then
waits until nobody needs it any more.
"""

import asyncio
import http.client
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Final, TypeVar

from tests.support.standin.process import ROOT

DEADLINE_S: Final = 10.0


class ServerProcess:
    """A running server: `address` is what it announced, `process` its process."""

    module: str
    """Name of the module that is its command."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", self.module, *options]
        self.process = Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, start_new_session=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        self.address = self._stdout.readline().decode().strip()

    @property
    def url(self) -> str:
        """The address of a server that speaks HTTP."""
        return self.address

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Return what a server that speaks HTTP answers to GET."""
        where = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(where, timeout=DEADLINE_S)
        try:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().read()
        finally:
            connection.close()

    def stop(self) -> None:
        """End the process; nothing listens there any more."""
        self._stdin.close()
        self.process.wait(DEADLINE_S)
        self._stdout.close()


AnyServer = TypeVar("AnyServer", bound=ServerProcess)


@contextmanager
def running(server: AnyServer) -> Iterator[AnyServer]:
    """Yield the server, and stop it when the block ends."""
    try:
        yield server
    finally:
        server.stop()


def announce(address: str) -> None:
    """Tell the tests where this server listens."""
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


async def announce_until_unneeded(port: int) -> None:
    """Announce an HTTP server at `port`, and wait until standard input closes."""
    announce(f"http://127.0.0.1:{port}")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
