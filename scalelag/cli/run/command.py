"""`scalelag run`: everything at once, from the cluster to the verdict."""

import inspect
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from scalelag.cli.run.attempt import Job
from scalelag.cli.run.calibrate import Calibrate, CalibrateHold, run_calibration
from scalelag.cli.run.config_file import Config
from scalelag.cli.run.load_process import Locustfiles, Processes, Web, find_locustfiles
from scalelag.cli.run.ray_load import MasterHost, WorkersOnRay, WorkersRuntimeEnv, placement_of
from scalelag.cli.run.retries import Retries, RetryCount, RetryWait, RunCount
from scalelag.cli.run.targets import DEPLOY_WAIT_S, App, AppArguments, Cpus, Host
from scalelag.cluster.apps import AppConfig, grpc_servicers, resolve_app
from scalelag.cluster.preflight import check_url
from scalelag.console import say
from scalelag.errors import (
    EXIT_GATE_FAILED,
    EXIT_INVALID,
    EXIT_PASSED,
    InterruptedRunError,
    UsageError,
)
from scalelag.options.catalog import OPTIONS, Option
from scalelag.options.run_options import run_options
from scalelag.record.run_dir import create_run_dir


@contextmanager
def interruptible() -> Generator[None]:
    """Within, the first SIGINT, SIGTERM or SIGHUP raises InterruptedRunError; later ones are ignored.

    Taking things down has its own time-outs and must not be broken off half way. SIGHUP stays
    ignored if it is: that is what nohup is for.
    """
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)

    def interrupt(number: int, _frame: object) -> None:
        for one in wanted:
            signal.signal(one, signal.SIG_IGN)
        raise InterruptedRunError(f"interrupted ({signal.Signals(number).name})")

    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_DEFAULT_APP = "sleeper"


def _with_load_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the plugin's options in place of its `**values`, so that each stands once."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "values"]
    added = [
        inspect.Parameter(
            option.dest,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_annotation(option),
        )
        for option in OPTIONS
    ]
    parameters = [*own, *added]
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _annotation(option: Option) -> Any:  # noqa: ANN401  a type is made here
    """The type of an option, None where it was not given: its default is a locustfile's to say."""
    kinds: dict[str, Any] = {"int": int, "float": float, "flag": bool, "list": list[str]}
    shown = option.default is not None and option.type != "flag"
    text = f"{option.help}  [default: {option.default}]" if shown else option.help
    return Annotated[kinds.get(option.type, str) | None, typer.Option(option.flag, help=text)]


@_with_load_options
def run(
    *,
    config: Config = None,  # noqa: ARG001  its callback has handed it to the other options
    app: App = None,
    app_arg: AppArguments = None,
    host: Host = None,
    cpus: Cpus = 4,
    locustfile: Locustfiles = None,
    processes: Processes = 1,
    workers_on_ray: WorkersOnRay = None,
    workers_runtime_env: WorkersRuntimeEnv = None,
    master_host: MasterHost = None,
    web: Web = False,
    runs: RunCount = 1,
    retries: RetryCount = 0,
    retry_wait: RetryWait = 10.0,
    calibrate: Calibrate = False,
    calibrate_hold: CalibrateHold = 15.0,
    **values: Any,  # noqa: ANN401  the plugin's options, each of its own type
) -> int:
    """Send stepped load to a Serve endpoint, watch its replicas, and report their lag."""
    given = {name: value for name, value in values.items() if value is not None}
    given.setdefault("name", _run_name(app, host, locustfile))
    options = run_options(given)
    options.request.headers_with_secrets()
    _check_usage(host, given, calibrate=calibrate, web=web, repeats=retries > 0 or runs > 1)
    placement = placement_of(workers_on_ray, processes, master_host, workers_runtime_env)
    apps = _apps(app, app_arg or [], embedded=host is None)
    wait_s = DEPLOY_WAIT_S if apps and "wait" not in given else options.wait_s
    files = find_locustfiles(locustfile or [])
    if runs > 1:
        given["out"] = str(create_run_dir(options.out, f"{given['name']}-x{runs}", time.time()))
    job = Job(
        given,
        options,
        apps,
        host,
        grpc_servicers=grpc_servicers(app) if app else (),
        cpus=cpus,
        wait_s=wait_s,
        locustfiles=files,
        processes=processes,
        placement=placement,
        web=web,
    )
    with interruptible():
        if calibrate:
            return run_calibration(job, calibrate_hold)
        return _in_a_row(runs, lambda: Retries(retries, retry_wait).run(job.attempt))


def _in_a_row(runs: int, run_once: Callable[[], int]) -> int:
    """Exit code of several runs: the first that is none of a run that was made, else the highest.

    Each has a target of its own where we start it, so that runs have nothing in common.
    """
    worst = EXIT_PASSED
    for number in range(1, runs + 1):
        if runs > 1:
            say(f"run {number} of {runs}")
        code = run_once()
        if code not in (EXIT_PASSED, EXIT_GATE_FAILED, EXIT_INVALID):
            return code
        worst = max(worst, code)
    return worst


def _check_usage(
    host: str | None, given: Mapping[str, Any], *, calibrate: bool, web: bool, repeats: bool
) -> None:
    if host is not None:
        check_url(host)
    for dest, flag in (("dashboard", "--dashboard"), ("grpc_host", "--grpc-host")):
        if host is None and dest in given:
            raise UsageError(f"{flag} names a cluster, so --host must name its Serve endpoint.")
    if calibrate and (web or repeats):
        raise UsageError("--calibrate makes its own runs: not with --web, --retries or --runs.")
    if web and repeats:
        raise UsageError("--retries and --runs repeat a run by themselves: not with --web.")


def _run_name(app: str | None, host: str | None, locustfile: Sequence[Path] | None) -> str:
    """Name for a run that was given none: what tells it from others in the list."""
    if app is None and host is None:
        app = _DEFAULT_APP
    text = Path(app).stem if app else (locustfile[0].stem if locustfile else "run")
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text).strip("-") or "run"


def _apps(app: str | None, arguments: Sequence[str], *, embedded: bool) -> list[AppConfig]:
    if app is None and not embedded:
        if arguments:
            raise UsageError("--app-arg goes with --app.")
        return []
    return resolve_app(app or _DEFAULT_APP, arguments, importable_here=embedded)
