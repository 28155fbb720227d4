"""A stand-in for the dashboard of a Ray cluster with Serve, in another process.

One process plays all scripts that a process of tests wants, each at ports of its own and with a
clock of its own; `running_standin(script)` begins and ends one. As a command,
`python -m tests.support.standin.process` reads an `Order` a line and answers each with a line; it
ends when its standard input closes.
"""

import atexit
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from tests.support.standin.cluster import Cluster, Control, Stats
from tests.support.standin.script import Fault, Script, Truth, truth_of
from tests.support.standin.server import Door, Server

ROOT: Final = Path(__file__).resolve().parents[3]
STOP_DEADLINE_S: Final = 10.0
REQUEST_TIMEOUT_S: Final = 10.0
LOWEST_PRIORITY: Final = 19


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """Play `script`, or end the one whose control port is `end`."""

    script: Script | None = None
    end: int = 0


class Ready(msgspec.Struct, frozen=True):
    """Addresses of a script that is played; `control_port` meets no faults."""

    url: str
    zero_s: float
    control_port: int


class Standin:
    """A running stand-in: `url` to watch, `zero_s` the Unix time at which its script began."""

    def __init__(self, ready: Ready) -> None:
        self.url = ready.url
        self.zero_s = ready.zero_s
        self._control_port = ready.control_port

    def now_s(self) -> float:
        """Seconds since time zero, the unit of the script."""
        return time.time() - self.zero_s

    def truth(self) -> Truth:
        """Events of the script, and those posted since, in Unix seconds."""
        script = msgspec.json.decode(self._request("GET", "/standin/script"), type=Script)
        return truth_of(script, self.zero_s)

    def stats(self) -> Stats:
        """Cost of watching so far."""
        return msgspec.json.decode(self._request("GET", "/standin/stats"), type=Stats)

    def control(
        self, fault: Fault | None = None, *, clear: bool = False, script: Script | None = None
    ) -> None:
        """Change what happens: add a fault, end all faults, or play another script.

        With more than one of them, the script comes first and the fault last. A fault without
        `at_s` begins now; time zero stays.
        """
        change = Control(fault=fault, clear=clear, script=script)
        self._request("POST", "/standin/control", msgspec.json.encode(change))

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._control_port, timeout=REQUEST_TIMEOUT_S
        )
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"the stand-in answered {response.status} to {path}: {answer!r}")
        return answer


class Player:
    """The one process that plays all scripts of this process of tests, each at ports of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.standin.process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests, which then close its input
        )
        self._one_at_a_time = threading.Lock()
        atexit.register(self._stop)

    def play(self, script: Script) -> Ready:
        """Begin to play `script` now."""
        return msgspec.json.decode(self._ask(Order(script=script)), type=Ready)

    def step_back(self) -> None:
        """Give it the lowest priority from now on, as if it ran on another machine.

        Linux may share the CPUs among sessions (autogroup), each with a nice value of its own.
        """
        pid = self._process.pid
        os.setpriority(os.PRIO_PROCESS, pid, LOWEST_PRIORITY)
        with suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(LOWEST_PRIORITY), encoding="ascii")

    def end(self, played: Ready) -> None:
        """End it; nothing listens there afterwards."""
        self._ask(Order(end=played.control_port))

    def _ask(self, order: Order) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._one_at_a_time:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the stand-in ended; its exit code: {self._process.poll()}")
        return answer

    def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@cache
def player() -> Player:
    """Return the process that plays scripts; it is started once, and ends with this one."""
    return Player()


@contextmanager
def running_standin(script: Script) -> Iterator[Standin]:
    """Play `script` from now until the block ends."""
    ready = player().play(script)
    try:
        yield Standin(ready)
    finally:
        player().end(ready)


def main() -> None:
    """Play the scripts that come on standard input until it closes."""
    played: dict[int, tuple[Server, list[Door]]] = {}
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        if order.script is not None:
            cluster = Cluster(order.script)
            server = Server(cluster)
            door, control_door = Door(server, refuses=True), Door(server, refuses=False)
            door.start()
            control_door.start()
            played[control_door.port] = (server, [door, control_door])
            said = msgspec.json.encode(Ready(door.url, cluster.zero_s, control_door.port))
        else:
            server, doors = played.pop(order.end)
            server.end()
            for one in doors:
                one.join()
            said = b"{}"
        sys.stdout.buffer.write(said + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
