"""Locust as a process of its own: the load, the probe and the report of a run."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

import locustfiles
from scalelag.cli.run.locust_arguments import users_and_options
from scalelag.cluster.ports import free_port
from scalelag.cluster.ray_job.reach import Address
from scalelag.cluster.ray_job.submit import RayWorkers
from scalelag.cluster.urls import hide_credentials
from scalelag.errors import InterruptedRunError, TargetError, UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.options.checks import public_header
from scalelag.options.toml_file import nearest
from scalelag.packages import check_packages
from scalelag.plugin.parent import (
    EMBEDDED_VARIABLE,
    LAUNCHED_VARIABLE,
    OUTCOME_VARIABLE,
    PARENT_VARIABLE,
    SECRET_VARIABLES,
    WORKERS_WAIT_VARIABLE,
    Outcome,
    attempts_for_environment,
    read_outcome,
)
from scalelag.record.run_info import EarlierAttempt
from scalelag.record.secrets import HIDERS

_STOP_TIMEOUT_S = 45.0
_WEB_PORT = 8089
_HOME = Path(locustfiles.__file__).parent
_LOOK_S = 1.0
_WORKERS_WAIT_S = 60
_MIB = 2**20
_MAKES_NAMES = re.compile(r"import\s*\(?\*|\b(globals|locals|vars|setattr|exec|modules|__dict__)\b")
_PROCESS_MIB = 100
"""Memory of a load process: 60 MiB when it starts, and what it keeps of requests that are open."""


class RemoteWorkers(msgspec.Struct, frozen=True):
    """`count` processes on other machines that send the load; `leader` is where they reach us."""

    leader: Address
    count: int
    workers: RayWorkers


def option_arguments(values: Mapping[str, Any]) -> list[str]:
    """Return the command line that gives the plugin's options in `values`, and no others."""
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


def out_of_sight(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return `arguments` without options that hold a secret, and the variables that hold these.

    A secret is what no record shows: a password in a URL, a parameter or field that is named like one,
    and what a header says beside its variables.
    """
    seen, hidden = list(arguments), dict[str, str]()
    for flag, variable in SECRET_VARIABLES.items():
        own = [one for one in seen if one.partition("=")[0] == flag]
        values = [one.partition("=")[2] for one in own]
        if any(_has_secret(flag, value) for value in values):
            as_list = msgspec.json.encode(values).decode()
            hidden[variable] = as_list if flag.endswith("header") else values[-1]
            seen = [one for one in seen if one not in own]
    return seen, hidden


def _has_secret(flag: str, value: str) -> bool:
    if flag.endswith("header"):
        return public_header(value) != value
    hide = HIDERS.get(flag.removeprefix("--").replace("-", "_"), hide_credentials)
    return hide(value) != value


class LoadProcess:
    """Locust with our plugin, and the options in `arguments`. Secrets go by the environment.

    `passed_on` are names of user classes, and arguments that are Locust's alone.

    `quiet` leaves out its report, and keeps its warnings and errors.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        passed_on: Sequence[str] = (),
        locustfiles: Sequence[Path] = (),
        processes: int = 1,
        remote: RemoteWorkers | None = None,
        web: bool = False,
        quiet: bool = False,
        token: str | None = None,
        earlier: Sequence[EarlierAttempt] = (),
        launched: Mapping[str, Any] | None = None,
    ) -> None:
        # Locust looks for modules in the current folder first, and this process does not.
        check_packages(["", *sys.path])
        files = ",".join(map(_locust_path, _locustfiles(locustfiles)))
        users, others = users_and_options(passed_on)
        seen, hidden = out_of_sight(arguments)
        # A locustfile may be a URL with a password.
        named = ["-f", files]
        if hide_credentials(files) != files:
            named, hidden["LOCUST_LOCUSTFILE"] = [], files
        self._command = [sys.executable, "-m", "locust", *named, *users, *seen]
        self._command += ["--loglevel", "INFO" if web else "WARNING"]
        self._command += _web_arguments() if web else ["--headless"]
        if processes > 1:
            self._command += _forked_workers(processes)
        self._command += others  # the last value of an option holds
        self._environment = dict(os.environ) | {PARENT_VARIABLE: str(os.getpid())} | hidden
        self._output = subprocess.DEVNULL if quiet else None
        self._remote = remote
        if remote is not None:
            self._command += _remote_workers(remote)
            if not web:
                self._environment[WORKERS_WAIT_VARIABLE] = str(_WORKERS_WAIT_S)
        self._environment |= attempts_for_environment(earlier)
        self._environment[LAUNCHED_VARIABLE] = msgspec.json.encode(launched or {}).decode()
        if token is not None:
            self._environment |= {"RAY_AUTH_TOKEN": token, EMBEDDED_VARIABLE: "1"}

    def run(self) -> tuple[int, Outcome]:
        """Run Locust to its end. Returns its exit code and its outcome.

        The code is the negative number of a signal that killed it. On an interrupt Locust closes the
        run and reports first. Raises TargetError if remote workers end before the run has begun.
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
            _end_group(process)

    def _attend(self, process: subprocess.Popen[bytes], outcome: Path) -> None:
        """Watch the remote workers until the run has begun; after that a lost one is a row."""
        if self._remote is None:
            return
        while process.poll() is None and read_outcome(outcome).path is None:
            self._remote.workers.check()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill `process` if it runs, and the load processes of one that did not end by itself.

    Those that never reached it would go on asking for it.
    """
    if process.poll() is None or process.returncode < 0:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_memory(processes: int) -> None:
    """Raise UsageError if the memory of this machine cannot hold these load processes."""
    whole_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB
    most = max(1, whole_mib // _PROCESS_MIB)
    if processes > most:
        raise UsageError(
            f"--processes {processes}: each takes about {_PROCESS_MIB} MiB, and this machine has "
            f"{whole_mib:,} MiB: {most} at most. More than one for each of its {os.cpu_count()} cores "
            "send no more requests."
        )


def _forked_workers(count: int) -> list[str]:
    """Return the options for `count` load processes on this machine."""
    # On Locust's usual port another Locust's workers would join ours.
    port = str(free_port())
    processes = ["--processes", str(count), "--master-bind-host", "127.0.0.1"]
    return [*processes, "--master-bind-port", port, "--master-port", port]


def _remote_workers(remote: RemoteWorkers) -> list[str]:
    """Return the options for leading the load processes on other machines."""
    leader = remote.leader
    master = ["--master", "--expect-workers", str(remote.count)]
    return [*master, "--master-bind-host", leader.listen, "--master-bind-port", str(leader.port)]


def _web_arguments() -> list[str]:
    """Return the options for Locust's page: its usual port, or another one if that is taken."""
    try:
        port = free_port(wanted=_WEB_PORT)
    except OSError:
        port = free_port()
    return ["--web-host", "127.0.0.1", "--web-port", str(port)]


def find_locustfiles(named: Sequence[Path]) -> list[Path]:
    """Return the paths of the locustfiles of `-f`; one that is not here may come with scalelag.

    Each may also be a folder, a URL, or several of them with commas between them, as for Locust.
    Raises UsageError naming one that does not exist, or that is not Python.
    """
    found = [_found(part) for path in named for part in str(path).split(",") if part.strip()]
    for path in found:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            _check_syntax(file)
    return found


def check_user_names(names: Sequence[str], found: Sequence[Path]) -> None:
    """Raise UsageError for a user class that stands nowhere in the locustfiles that were `found`.

    Locust would say so once the cluster is there. They are not run for it: what they do as they are
    loaded would be done twice. Where they may make names as they run, it is left to Locust.
    """
    paths = _locustfiles(found)
    files = [one for path in paths for one in (path.rglob("*.py") if path.is_dir() else [path])]
    if not names or not all(one.is_file() for one in files):
        return
    text = "\n".join(one.read_text("utf-8", errors="replace") for one in files)
    # That of a test of pytest may have more in it.
    plain = filter(str.isidentifier, names)
    missing = [name for name in plain if not re.search(rf"\b{name}\b", text)]
    if missing and not _MAKES_NAMES.search(text):
        known = re.findall(r"^class (\w+)", text, re.MULTILINE)
        hint = nearest(missing[0], known, f"it has {', '.join(known) or 'none'}.")
        raise UsageError(f"{missing[0]}: the locustfile has no user class of that name; {hint}")


def _found(part: str) -> Path:
    path = Path(part.strip())
    # Path has made "http://" to "http:/".
    is_url = re.match(r"https?:/", part.strip()) is not None
    is_there = any(path.rglob("*.py")) if path.is_dir() else path.exists()
    return path if is_url or is_there else _packaged(path)


def _check_syntax(file: Path) -> None:
    """Raise UsageError where Locust would print a traceback of its own internals, or end with 1."""
    if not file.is_file():
        return
    if file.suffix != ".py":
        raise UsageError(f"-f {file}: the name of a locustfile ends with .py. Rename it.")
    try:
        compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except OSError as error:
        raise UsageError(f"-f {file}: {error.strerror}.") from error
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        shown = f": {error.text.strip()}" if error.text else ""
        raise UsageError(f"-f {file}{line} is not Python: {error.msg}{shown}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"-f {file} is not Python: {error}") from error


def _locust_path(path: Path) -> str:
    return re.sub(r"^(https?):/+", r"\1://", str(path))


def _packaged(named: Path) -> Path:
    if named.name in locustfiles.ENTRY_FILES and str(named.parent) in (".", "locustfiles"):
        return _HOME / named.name
    raise UsageError(
        f"-f {named}: there is no such locustfile, and those that come with scalelag are "
        f"{', '.join(locustfiles.ENTRY_FILES)}."
    )


def _locustfiles(own: Sequence[Path]) -> list[Path]:
    return [_HOME / "attached.py", *own] if own else [_HOME / "stepped.py"]
