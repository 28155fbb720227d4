"""A stand-in for the dashboard of a Ray cluster with Serve, in a process of its own.

As a command, `python -m tests.support.standin.process SCRIPT.json` prints one JSON line
(`Ready`) when it listens and ends when its standard input closes. In tests, `running_standin(script)`
starts and stops that process.
"""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.support.standin.cluster import Cluster, Control, Stats
from tests.support.standin.script import Fault, Script, Truth, truth_of
from tests.support.standin.server import Door, Server

ROOT: Final = Path(__file__).resolve().parents[3]
START_DEADLINE_S: Final = 30.0
STOP_DEADLINE_S: Final = 10.0
REQUEST_TIMEOUT_S: Final = 10.0


class Ready(msgspec.Struct, frozen=True):
    """What the process says once it listens; `control_port` meets no faults."""

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
        """What has been scripted, and posted since, in Unix seconds."""
        script = msgspec.json.decode(self._request("GET", "/standin/script"), type=Script)
        return truth_of(script, self.zero_s)

    def stats(self) -> Stats:
        """What watching has cost so far."""
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


@contextmanager
def running_standin(script: Script) -> Iterator[Standin]:
    """Play `script` in a process of its own, from now until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.json"
        path.write_bytes(msgspec.json.encode(script))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.standin.process", str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests, which then close its input
        )
        try:
            yield Standin(_wait_until_ready(process))
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes]) -> Ready:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    deadline_s = time.monotonic() + START_DEADLINE_S
    said = b""
    while not said.endswith(b"\n"):
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"the stand-in did not start; its exit code: {process.poll()}")
        try:
            said += os.read(descriptor, 4096)
        except BlockingIOError:
            time.sleep(0.005)
    return msgspec.json.decode(said, type=Ready)


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def main(script_path: str) -> None:
    """Play the script until standard input closes."""
    script = msgspec.json.decode(Path(script_path).read_bytes(), type=Script)
    cluster = Cluster(script)
    server = Server(cluster)
    door, control_door = Door(server, refuses=True), Door(server, refuses=False)
    door.start()
    control_door.start()
    ready = Ready(url=door.url, zero_s=cluster.zero_s, control_port=control_door.port)
    sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main(sys.argv[1])
