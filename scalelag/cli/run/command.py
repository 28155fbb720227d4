"""`scalelag run`: everything at once, from the cluster to the verdict."""

import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.calibrate import run_calibration
from scalelag.cli.run.load_process import check_memory, check_user_names, find_locustfiles
from scalelag.cli.run.locust_arguments import check_passed_on
from scalelag.cli.run.ray_load import placement_of
from scalelag.cli.run.retries import Retries
from scalelag.cli.run.signature import DEFAULT_CPUS, RunArguments
from scalelag.cli.run.targets import DEPLOY_WAIT_S
from scalelag.cluster.apps import AppConfig, grpc_servicers, resolve_app, with_autoscaling
from scalelag.cluster.events import apps_to_deploy
from scalelag.cluster.haproxy import VARIABLE as HAPROXY_VARIABLE
from scalelag.cluster.listening import check_free
from scalelag.cluster.ray_environment import ray_choice
from scalelag.cluster.urls import check_url
from scalelag.console import say
from scalelag.errors import (
    EXIT_GATE_FAILED,
    EXIT_INVALID,
    EXIT_PASSED,
    UsageError,
)
from scalelag.options.release_output import release_output
from scalelag.options.run_options import RunOptions, run_options
from scalelag.plan.events import check_allowed
from scalelag.record.run_dir import check_out, create_run_dir
from scalelag.record.secrets import hide_argument

_DEFAULT_APP = "sleeper"


def run(arguments: RunArguments, given: Mapping[str, Any]) -> int:
    """Run as asked, and return the exit code. `given` are options of the catalog."""
    attempt = attempt_of(arguments, given)
    if arguments.calibrate:
        return run_calibration(attempt, arguments.calibrate_hold_s)
    retries = Retries(arguments.retries, arguments.retry_wait_s)
    with _in_one_folder(attempt, arguments.runs) as own:
        return _in_a_row(arguments.runs, lambda: retries.run(own.run))


def attempt_of(arguments: RunArguments, given: Mapping[str, Any]) -> Attempt:
    """Return the run that is asked for. Raises UsageError if the options contradict one another."""
    given = {"name": _run_name(arguments), **given}
    options = run_options(given)
    _check_surroundings(options)
    _check_usage(arguments, given)
    placement = placement_of(
        arguments.workers_on_ray,
        arguments.processes,
        arguments.master_host,
        arguments.workers_runtime_env,
    )
    locustfiles = find_locustfiles(arguments.locustfile)
    check_user_names(arguments.users, locustfiles)
    host = _host(arguments, given)
    check_allowed(options.events, ours=host is None, allowed=options.allow_faults)
    apps_to_deploy(options.events)
    apps = _apps(arguments, embedded=host is None)
    if arguments.haproxy:
        # For the cluster, and for the load process, which records how long its replicas drain.
        os.environ[HAPROXY_VARIABLE] = "1"
    return Attempt(
        given=given,
        options=options,
        apps=apps,
        host=host,
        headers={} if host is None else options.headers_for_dashboard(os.environ),
        app_dir=arguments.app_dir,
        grpc_servicers=grpc_servicers(arguments.app) if arguments.app else (),
        cpus=_cpus(arguments, embedded=host is None),
        ray=ray_choice(arguments.ray, arguments.ray_python, arguments.app_requirements),
        wait_s=DEPLOY_WAIT_S if apps and "wait" not in given else options.wait_s,
        locustfiles=locustfiles,
        locust=(*arguments.users, *arguments.locust),
        processes=arguments.processes,
        placement=placement,
        web=arguments.web,
        launched=launched_options(arguments),
    )


def _cpus(arguments: RunArguments, *, embedded: bool) -> int:
    """Return the CPUs of a cluster that is started; without one, say that they change nothing.

    That is no error: suites, and scalelag.toml, may have them for where they start a cluster.
    """
    if arguments.cpus is not None and not embedded:
        say("--cpus is for a cluster that scalelag starts: it changes nothing at the one of --host")
    return arguments.cpus or DEFAULT_CPUS


_LAUNCHED = (
    "app",
    "app_arg",
    "autoscaling",
    "cpus",
    "haproxy",
    "processes",
    "workers_on_ray",
    "workers_runtime_env",
)


def launched_options(arguments: RunArguments) -> dict[str, Any]:
    """Options of this command alone that make the run what it is, other than their defaults."""
    usual = RunArguments()
    given = {name: getattr(arguments, name) for name in _LAUNCHED}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    if arguments.cpus == DEFAULT_CPUS:
        del changed["cpus"]
    if "app_arg" in changed:
        changed["app_arg"] = [hide_argument(text) for text in changed["app_arg"]]
    return {name: str(v) if isinstance(v, Path) else v for name, v in changed.items()}


@contextmanager
def _in_one_folder(attempt: Attempt, runs: int) -> Generator[Attempt]:
    """Yield `attempt` as one of several `runs`, into a folder that goes again if it stays empty."""
    if runs == 1:
        yield attempt
        return
    out = attempt.options.out
    was_there = out.exists()
    folder = create_run_dir(out, f"{attempt.options.name}-x{runs}", time.time())
    try:
        yield msgspec.structs.replace(attempt, given={**attempt.given, "out": str(folder)})
    finally:
        with suppress(OSError):  # with a run in it, it is not empty
            folder.rmdir()
            if not was_there:
                out.rmdir()


def _in_a_row(runs: int, run_once: Callable[[], int]) -> int:
    """Return the highest exit code of several runs; the first that measured nothing ends them.

    Each has a cluster of its own if we start it, so that runs have nothing in common.
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


def _check_surroundings(options: RunOptions) -> None:
    """Raise UsageError if a variable, a file, a folder or a port that is needed cannot be used."""
    check_out(options.out)
    options.check_headers(os.environ)
    release_output(options.reports, os.environ)
    if options.prometheus_port is not None:
        check_free(options.prometheus_port, "--prometheus-port")


def _check_usage(arguments: RunArguments, given: Mapping[str, Any]) -> None:
    host, web = arguments.host, arguments.web
    repeats = arguments.retries > 0 or arguments.runs > 1
    if host is not None:
        check_url(host)
    for dest, flag in (("dashboard", "--dashboard"), ("grpc_host", "--grpc-host")):
        if _host(arguments, given) is None and dest in given:
            raise UsageError(
                f"{flag} names a cluster, so --host must name its Serve endpoint, or a locustfile (-f) "
                "the host of its users."
            )
    if host is not None and (arguments.ray or arguments.ray_python):
        raise UsageError("--ray starts a cluster of that version: not with --host.")
    if host is not None and arguments.haproxy:
        raise UsageError(
            "--haproxy is for a cluster that scalelag starts: not with --host. A cluster that is there "
            f"was started with {HAPROXY_VARIABLE}=1, or without."
        )
    if arguments.calibrate and given.get("event"):
        raise UsageError("--calibrate measures undisturbed replicas: not with --event.")
    if arguments.calibrate and (web or repeats):
        raise UsageError("--calibrate makes its own runs: not with --web, --retries or --runs.")
    if web and repeats:
        raise UsageError("--retries and --runs repeat a run by themselves: not with --web.")
    check_passed_on(arguments.locust)
    check_memory(arguments.processes)


def _host(arguments: RunArguments, given: Mapping[str, Any]) -> str | None:
    """Host of an existing endpoint; "" if it is that of the locustfile's users, None without one."""
    if arguments.host is None and arguments.locustfile and "dashboard" in given:
        return ""
    return arguments.host


def _run_name(arguments: RunArguments) -> str:
    """Return the name of a run that was given none: its application, or its locustfile."""
    app, locustfile = arguments.app, arguments.locustfile
    if app is None and arguments.host is None:
        app = _DEFAULT_APP
    text = Path(app).stem if app else (locustfile[0].stem if locustfile else "run")
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in text).strip("-") or "run"


def _apps(arguments: RunArguments, *, embedded: bool) -> list[AppConfig]:
    if arguments.app is None and not embedded:
        if arguments.app_arg or arguments.autoscaling:
            flag = "--app-arg" if arguments.app_arg else "--autoscaling"
            raise UsageError(f"{flag} goes with --app.")
        return []
    apps = resolve_app(
        arguments.app or _DEFAULT_APP,
        arguments.app_arg,
        importable_here=embedded,
        folder=arguments.app_dir,
    )
    return with_autoscaling(apps, arguments.autoscaling) if arguments.autoscaling else apps
