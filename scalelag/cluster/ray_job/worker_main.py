"""One Locust worker: `python -m scalelag.cluster.ray_job.worker_main PARENT HOST PORT`.

It joins the master at HOST:PORT, gets the locustfiles from it, and ends when PARENT, the process that
started it, ends. Plain Python: it uses neither Ray nor gevent.
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
    """Run the worker, and return its exit code."""
    parent, host, port = sys.argv[1:]
    if not _follow(int(parent)):
        return 1
    # Ray kills an actor's children with SIGKILL, and then nothing would end Locust. It does not kill
    # grandchildren.
    between = os.getpid()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGTERM, _leave)
    return _run(host, port) if _follow(between) else 1


def _follow(parent: int) -> bool:
    """Get SIGTERM when `parent` ends for any reason. Returns False if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent


def _run(host: str, port: str) -> int:
    command = [sys.executable, "-m", "locust", "-f", "-", "--worker", "--loglevel", "WARNING"]
    command += ["--master-host", host, "--master-port", port]
    # Locust writes the locustfiles to the folder for temporary files, under fixed names: two workers
    # on one machine would read each other's half-written files.
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
