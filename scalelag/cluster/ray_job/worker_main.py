"""One Locust worker: `python -m scalelag.cluster.ray_job.worker_main PARENT HOST PORT`.

It joins the leader at HOST:PORT, takes the locustfiles from it, and ends when PARENT, the process
that started it, does. Plain Python: neither Ray nor gevent is in it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from types import FrameType

_PR_SET_PDEATHSIG = 1
_STOP_TIMEOUT_S = 5.0


def main() -> int:
    """Run the worker. Returns its exit code."""
    parent, host, port = sys.argv[1:]
    if not _follow(int(parent)):
        return 1
    # Ray kills an actor's children with it, and does not ask: nobody would end Locust then. It does
    # not kill grandchildren.
    between = os.getpid()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGTERM, _leave)
    return _run(host, port) if _follow(between) else 1


def _follow(parent: int) -> bool:
    """Get SIGTERM when `parent` ends, however it does. Returns False where it has."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent


def _run(host: str, port: str) -> int:
    command = [sys.executable, "-m", "locust", "-f", "-", "--worker", "--loglevel", "WARNING"]
    command += ["--master-host", host, "--master-port", port]
    # Locust puts the locustfiles into the folder for temporary files, each under its own name:
    # two workers on one machine would read what the other has half written.
    with tempfile.TemporaryDirectory(prefix="scalelag-") as folder:
        process = subprocess.Popen(
            command, env={**os.environ, "TMPDIR": folder}, stdin=subprocess.DEVNULL
        )
        try:
            return process.wait()
        finally:
            _end(process)


def _leave(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
