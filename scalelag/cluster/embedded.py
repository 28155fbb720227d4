"""The embedded cluster, on the side of the command that starts it."""

import os
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Self

import msgspec

import scalelag
from scalelag.errors import UNREADABLE, TargetError

START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 30.0
_OURS = Path(scalelag.__file__).parents[1]
"""Folder of our packages. It may be that of every package here, so it is no path for another Python."""


class Urls(msgspec.Struct, frozen=True):
    """Addresses of the cluster; `grpc_host`, as HOST:PORT, only if it was started for gRPC."""

    dashboard: str
    host: str
    grpc_host: str | None = None


class EmbeddedCluster:
    """A Ray cluster in a process of its own; a context manager that takes it down.

    It lives as long as this process keeps the pipe to it open, so it ends however we end. Ray's token
    auth is on where there is one, with a fresh token that is passed by environment variables only.
    Serve answers gRPC if `grpc_servicers` (Serve's `grpc_servicer_functions`) are given. Its Ray is
    that of `python`, by default ours.
    """

    def __init__(
        self,
        num_cpus: int,
        grpc_servicers: Sequence[str] = (),
        python: Path | None = None,
        *,
        with_token: bool = True,
        folder: Path | None = None,
    ) -> None:
        """Modules of applications are looked for in `folder` first, by default the current one."""
        self._folder = folder or Path()
        self._arguments = [str(num_cpus), *grpc_servicers]
        self._python = python or Path(sys.executable)
        self.token = secrets.token_hex(32) if with_token else None
        self.urls: Urls | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._packages: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Start the cluster and wait until it answers. Raises TargetError if it does not."""
        self._log = TemporaryFile()
        self._packages = TemporaryDirectory(prefix="scalelag-packages-")
        for package in ("scalelag", "serve_apps"):
            (Path(self._packages.name) / package).symlink_to(_OURS / package)
        self._process = subprocess.Popen(
            [str(self._python), "-m", "scalelag.cluster.embedded_main", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=cluster_environment(
                os.environ, self.token, self._python, Path(self._packages.name), self._folder
            ),
            # In a group of its own, so that Ctrl-C reaches only us, and we take it down.
            start_new_session=True,
        )
        try:
            self.urls = self._await_urls(self._process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        """Take the cluster down and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.stdin:
                process.stdin.close()
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if self._log:
                self._log.close()
            if self._packages:
                self._packages.cleanup()

    def _await_urls(self, process: subprocess.Popen[bytes]) -> Urls:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        if process.stdout is None:
            raise TypeError("the cluster's standard output is a pipe")
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline_s:
                if not selector.select(timeout=0.5):
                    continue
                line = process.stdout.readline()
                if not line:
                    raise TargetError(f"The embedded cluster did not start: {self._said()}")
                try:
                    return msgspec.json.decode(line, type=Urls)
                except UNREADABLE:
                    continue  # Ray sometimes prints to standard output
        raise TargetError(
            f"The embedded cluster did not start within {START_TIMEOUT_S:.0f} s: {self._said()}"
        )

    def _said(self) -> str:
        if self._log is None:
            return "it wrote no log"
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return text[-1500:] or "it wrote no log"


_NOT_KEPT = ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_OFF = "disabled"
_PATIENT = {
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "150",
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "150",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}
"""Ray gives up on its dashboard after 30 s or 60 s, and Serve on its proxy after 5 s. On a machine that
other work keeps busy they take longer, and come up all the same."""


def _path(environ: Mapping[str, str]) -> list[str]:
    return [environ["PATH"]] if environ.get("PATH") else []


def cluster_environment(
    environ: Mapping[str, str],
    token: str | None,
    python: Path = Path(sys.executable),
    packages: Path | None = None,
    folder: Path = Path(),
) -> dict[str, str]:
    """Environment of the cluster: its token, our packages, and no other Ray's address.

    `packages` is a folder with our packages alone, `python` the cluster's. None as the token turns
    token auth off.
    """
    kept = {k: v for k, v in environ.items() if k not in _NOT_KEPT}
    paths = [str(folder.absolute()), *filter(None, kept.get("PYTHONPATH", "").split(os.pathsep))]
    if packages is not None:
        paths.append(str(packages))
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": _OFF}
    return (
        _PATIENT
        | kept
        | auth
        | {
            # Without it Ray uses the machine's own address, even if 127.0.0.1 is given.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Every process exports its metrics each second, and not each ten: they are read as gauges.
            "RAY_metrics_report_interval_ms": "1000",
            # Ray gives its workers a lower priority than its own processes (15). A machine that also
            # sends the load then starts replicas half as fast again.
            "RAY_worker_niceness": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            # Jobs on the cluster start with the first Python on the path.
            "PATH": os.pathsep.join([str(python.parent), *_path(kept)]),
            "PYTHONUNBUFFERED": "1",
        }
    )
