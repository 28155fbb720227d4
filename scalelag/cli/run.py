"""`scalelag run`: everything at once, from the cluster to the verdict."""

import inspect
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from probes.serve_api import Dashboard, token_from_environment
from reports.analysis.gates import parse_gate
from reports.analysis.summary import analyse
from reports.render.terminal import render_terminal
from scalelag.cli.load_process import LoadProcess, option_arguments
from scalelag.cli.signals import interruptible
from scalelag.errors import EXIT_INVALID, UsageError
from scalelag.plugin.options import OPTIONS, Option
from scalelag.plugin.run_options import run_options
from scalelag.record.run_dir import load_run
from scalelag.target.apps import AppConfig, resolve_app
from scalelag.target.deploy import deploy, undeploy
from scalelag.target.embedded import EmbeddedCluster
from scalelag.target.preflight import Patience, check_endpoint, check_url, ready_payload

_DEFAULT_APP = "sleeper"
_DEPLOY_WAIT_S = 60.0


class _Endpoint(msgspec.Struct, frozen=True):
    """A target that is ready. `token` is one to pass on that our own environment does not hold."""

    host: str
    dashboard: str
    token: str | None = None


def _with_load_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the plugin's options in place of its `**values`, so that each stands once."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "values"]
    added = [
        inspect.Parameter(
            option.dest,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if option.type == "list" else option.default,
            annotation=_annotation(option),
        )
        for option in OPTIONS
    ]
    parameters = [*own, *added]
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _annotation(option: Option) -> Any:  # noqa: ANN401  a type is made here
    kinds: dict[str, Any] = {"int": int, "float": float, "flag": bool, "list": list[str]}
    kind = kinds.get(option.type, str)
    if option.default is None:
        kind = kind | None
    shown = option.default is not None and option.type != "flag"
    return Annotated[kind, typer.Option(option.flag, help=option.help, show_default=shown)]


@_with_load_options
def run(
    *,
    app: Annotated[
        str | None,
        typer.Option(help="App to deploy: a built-in name, IMPORT_PATH, or a Serve CONFIG.yaml."),
    ] = None,
    app_arg: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for the app's builder. Can be repeated.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="URL of an existing Serve endpoint; without it a cluster is started."),
    ] = None,
    cpus: Annotated[int, typer.Option(help="CPUs that the embedded cluster offers.", min=1)] = 4,
    locustfile: Annotated[
        list[Path] | None,
        typer.Option("--locustfile", "-f", help="Locustfile of your own. Can be repeated."),
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that send load.", min=1)] = 1,
    web: Annotated[
        bool, typer.Option("--web", help="Start Locust's web page; the test is started there.")
    ] = False,
    **values: Any,  # noqa: ANN401  the plugin's options, each of its own type
) -> int:
    """Send stepped load to a Serve endpoint, watch its replicas, and report their lag."""
    if values["name"] == _default("name"):
        values["name"] = _run_name(app, host, locustfile)
    options = run_options(values)
    options.request.headers_with_secrets()
    if host is not None:
        check_url(host)
    for path in locustfile or []:
        if not path.is_file():
            raise UsageError(f"-f {path}: there is no such locustfile.")
    if host is None and values["dashboard"] != _default("dashboard"):
        raise UsageError("--dashboard names a cluster, so --host must name its Serve endpoint.")
    apps = _apps(app, app_arg or [], embedded=host is None)
    wait_s = values["wait"] if values["wait"] != _default("wait") or not apps else _DEPLOY_WAIT_S
    with interruptible():
        target = (
            _embedded(apps, cpus, wait_s)
            if host is None
            else _existing(apps, host, values["dashboard"], verify=options.verify, wait_s=wait_s)
        )
        with target as endpoint:
            values |= {"dashboard": endpoint.dashboard}
            load = LoadProcess(
                [*option_arguments(values), "--host", endpoint.host],
                locustfiles=locustfile or [],
                processes=processes,
                web=web,
                token=endpoint.token,
            )
            before = _run_dirs(options.out)
            code = load.run()
        if code < 0:
            return _report_killed(-code, _run_dirs(options.out) - before)
        return code


def _default(dest: str) -> object:
    return next(option.default for option in OPTIONS if option.dest == dest)


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


@contextmanager
def _embedded(apps: Sequence[AppConfig], cpus: int, wait_s: float) -> Generator[_Endpoint]:
    console = Console(stderr=True)
    console.print("starting an embedded Ray cluster ...", highlight=False)
    with EmbeddedCluster(cpus) as cluster:
        if cluster.urls is None:
            raise RuntimeError("a cluster that was entered has URLs")
        dashboard = Dashboard(cluster.urls.dashboard, time.time, cluster.token)
        names = deploy(dashboard, apps)
        console.print(f"deploying {', '.join(names)} ...", highlight=False)
        _await_ready(dashboard, names, wait_s)
        yield _Endpoint(cluster.urls.host, cluster.urls.dashboard, cluster.token)


@contextmanager
def _existing(
    apps: Sequence[AppConfig],
    host: str,
    url: str,
    *,
    verify: bool | str,
    wait_s: float,
) -> Generator[_Endpoint]:
    dashboard = Dashboard(url, time.time, token_from_environment(), verify)
    if not apps:
        yield _Endpoint(host, url)
        return
    patience = Patience(wait_s, time.monotonic, time.sleep)
    patience.retry(lambda: check_endpoint(host))
    names = patience.retry(lambda: deploy(dashboard, apps))
    try:
        _await_ready(dashboard, names, wait_s)
        yield _Endpoint(host, url)
    finally:
        undeploy(dashboard, names, Patience(_DEPLOY_WAIT_S, time.monotonic, time.sleep))


def _await_ready(dashboard: Dashboard, names: Sequence[str], wait_s: float) -> None:
    patience = Patience(wait_s, time.monotonic, time.sleep)
    patience.retry(lambda: ready_payload(dashboard, [], names))


def _run_dirs(out: Path) -> set[Path]:
    return set(out.iterdir()) if out.is_dir() else set()


def _report_killed(signal_number: int, made: set[Path]) -> int:
    """Report on what a load process that was killed has left."""
    console = Console(stderr=True)
    console.print(
        f"scalelag: the load process was killed by signal {signal_number}", highlight=False
    )
    for path in sorted(made):
        recorded = load_run(path)
        gates = [parse_gate(text) for text in recorded.info.options.get("gate", [])]
        render_terminal(analyse(recorded, gates), Console(), str(path))
    return EXIT_INVALID
