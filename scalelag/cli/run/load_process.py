"""Locust as a process of its own: the load, the probe and the report of a run."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import typer

import locustfiles
from scalelag.cluster.ray_job.reach import Address
from scalelag.cluster.ray_job.submit import RayWorkers
from scalelag.errors import InterruptedRunError, TargetError, UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.plugin.parent import (
    EMBEDDED_VARIABLE,
    OUTCOME_VARIABLE,
    PARENT_VARIABLE,
    WORKERS_WAIT_VARIABLE,
    Outcome,
    read_outcome,
    tries_for_environment,
)
from scalelag.record.run_info import EarlierTry

Locustfiles = Annotated[
    list[Path] | None,
    typer.Option("--locustfile", "-f", help="Locustfile of your own. Can be repeated."),
]
Processes = Annotated[int, typer.Option(help="Processes that send load.", min=1)]
Web = Annotated[
    bool, typer.Option("--web", help="Start Locust's web page; the test is started there.")
]

_STOP_TIMEOUT_S = 45.0
_WEB_PORT = 8089
_HOME = Path(locustfiles.__file__).parent
_LOOK_S = 1.0
_WORKERS_WAIT_S = 60


class Elsewhere(msgspec.Struct, frozen=True):
    """`count` processes on other machines that send the load and are led from `leader`."""

    leader: Address
    count: int
    workers: RayWorkers


def option_arguments(values: Mapping[str, Any]) -> list[str]:
    """Command line that says the plugin's options in `values` once more, and no others."""
    arguments: list[str] = []
    for option in OPTIONS:
        value = values.get(option.dest)
        if value is None or value is False:
            continue
        if option.type == "flag":
            arguments.append(option.flag)
        else:
            items = value if option.type == "list" else [value]
            # With "=": a value that begins with a dash is no option.
            arguments += [f"{option.flag}={item}" for item in items]
    return arguments


class LoadProcess:
    """Runs Locust with our plugin; `arguments` are ours, `token` goes by the environment.

    `quiet` leaves out its report, and nothing that it complains of.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        locustfiles: Sequence[Path] = (),
        processes: int = 1,
        elsewhere: Elsewhere | None = None,
        web: bool = False,
        quiet: bool = False,
        token: str | None = None,
        tries: Sequence[EarlierTry] = (),
    ) -> None:
        files = ",".join(str(path) for path in _locustfiles(locustfiles))
        self._command = [sys.executable, "-m", "locust", "-f", files, *arguments]
        self._command += ["--loglevel", "INFO" if web else "WARNING"]
        self._command += _web_arguments() if web else ["--headless"]
        if processes > 1:
            # On Locust's usual port another Locust's workers would join ours.
            port = str(_free_port())
            self._command += ["--processes", str(processes), "--master-bind-host", "127.0.0.1"]
            self._command += ["--master-bind-port", port, "--master-port", port]
        self._environment = dict(os.environ) | {PARENT_VARIABLE: str(os.getpid())}
        self._output = subprocess.DEVNULL if quiet else None
        self._elsewhere = elsewhere
        if elsewhere is not None:
            leader = elsewhere.leader
            self._command += ["--master", "--expect-workers", str(elsewhere.count)]
            self._command += ["--master-bind-host", leader.listen]
            self._command += ["--master-bind-port", str(leader.port)]
            if not web:
                self._environment[WORKERS_WAIT_VARIABLE] = str(_WORKERS_WAIT_S)
        self._environment |= tries_for_environment(tries)
        if token is not None:
            self._environment |= {"RAY_AUTH_TOKEN": token, EMBEDDED_VARIABLE: "1"}

    def run(self) -> tuple[int, Outcome]:
        """Exit code of Locust, negative, its signal's number, where it was killed; and its outcome.

        Interrupted, it lets Locust close the run and report before it returns. Raises TargetError
        where load processes elsewhere end before the run has begun.
        """
        with TemporaryDirectory(prefix="scalelag-") as folder:
            path = Path(folder) / "outcome.json"
            code = self._run(self._environment | {OUTCOME_VARIABLE: str(path)}, path)
            return code, read_outcome(path)

    def _run(self, environment: Mapping[str, str], outcome: Path) -> int:
        # A session of its own: Ctrl-C is for us, and Locust is told once.
        process = subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            start_new_session=True,
        )
        try:
            self._attend(process, outcome)
            return process.wait()
        except (InterruptedRunError, TargetError) as error:
            process.terminate()
            try:
                code = process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise error from None
            # A negative code: it was still starting, with no handlers of ours and no run.
            if isinstance(error, TargetError) or code < 0:
                raise
            return code
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _attend(self, process: subprocess.Popen[bytes], outcome: Path) -> None:
        """Look after load processes elsewhere until the run has begun; then losing them is a row."""
        if self._elsewhere is None:
            return
        while process.poll() is None and read_outcome(outcome).path is None:
            self._elsewhere.workers.check()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)


def _web_arguments() -> list[str]:
    """Locust's page on its usual port, or on another where that is taken; Locust names its URL."""
    try:
        port = _free_port(_WEB_PORT)
    except OSError:
        port = _free_port()
    return ["--web-host", "127.0.0.1", "--web-port", str(port)]


def _free_port(wanted: int = 0) -> int:
    """Port that is free on 127.0.0.1; `wanted` itself if given. Raises OSError if that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", wanted))
        return int(probe.getsockname()[1])


def find_locustfiles(named: Sequence[Path]) -> list[Path]:
    """Where the locustfiles of `-f` are; one that is not here may be one that comes with us.

    Raises UsageError naming one that is nowhere.
    """
    return [path if path.is_file() else _packaged(path) for path in named]


def _packaged(named: Path) -> Path:
    if named.name in locustfiles.ENTRY_FILES and str(named.parent) in (".", "locustfiles"):
        return _HOME / named.name
    raise UsageError(
        f"-f {named}: there is no such locustfile, and those that come with scalelag are "
        f"{', '.join(locustfiles.ENTRY_FILES)}."
    )


def _locustfiles(own: Sequence[Path]) -> list[Path]:
    return [_HOME / "attached.py", *own] if own else [_HOME / "stepped.py"]
