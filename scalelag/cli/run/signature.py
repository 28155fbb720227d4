"""Options and help of `scalelag run`: its own, and those of the catalog.

Apart from what the command does, so that `--help` loads neither Locust nor any analysis.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from scalelag.cli.run.config_file import Config
from scalelag.cli.run.locust_arguments import PASSED_ON
from scalelag.options.catalog import OPTIONS
from scalelag.options.option import Option


class RunArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the options that only `scalelag run` has."""

    app: str | None = None
    app_arg: tuple[str, ...] = ()
    host: str | None = None
    cpus: int = 4
    ray: str | None = None
    ray_python: tuple[str, ...] = ()
    app_requirements: Path | None = None
    app_dir: Path = Path()
    locustfile: tuple[Path, ...] = ()
    users: tuple[str, ...] = ()
    locust: tuple[str, ...] = ()
    processes: int = 1
    workers_on_ray: int | None = None
    workers_runtime_env: Path | None = None
    master_host: str | None = None
    web: bool = False
    runs: int = 1
    retries: int = 0
    retry_wait_s: float = 10.0
    calibrate: bool = False
    calibrate_hold_s: float = 15.0


_TARGET = "Target"
_GENERATOR = "Load generator"
_REPEATS = "Repeats and calibration"

App = Annotated[
    str | None,
    typer.Option(
        help="Application to deploy: a built-in name, IMPORT_PATH, or a Serve CONFIG.yaml.",
        rich_help_panel=_TARGET,
    ),
]
AppArguments = Annotated[
    list[str] | None,
    typer.Option(
        help="KEY=VALUE for the application's builder. Can be repeated.", rich_help_panel=_TARGET
    ),
]
AppDir = Annotated[
    Path,
    typer.Option(
        help="Folder in which the module of --app is looked for first.", rich_help_panel=_TARGET
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        help="URL of an existing Serve endpoint. Default: start a Ray cluster on this machine.",
        rich_help_panel=_TARGET,
    ),
]
Cpus = Annotated[
    int,
    typer.Option(help="CPUs that the started cluster offers.", min=1, rich_help_panel=_TARGET),
]
Ray = Annotated[
    str | None,
    typer.Option(
        help="Version of Ray for the started cluster, such as 2.44. Default: the one installed here.",
        rich_help_panel=_TARGET,
    ),
]
RayPythons = Annotated[
    list[str] | None,
    typer.Option(
        help="VERSION=PATH: Python that has that version of Ray for --ray. Can be repeated.",
        rich_help_panel=_TARGET,
    ),
]
AppRequirements = Annotated[
    Path | None,
    typer.Option(
        help="File with requirements of the application for --ray, as pip reads it.",
        rich_help_panel=_TARGET,
    ),
]
Locustfiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--locustfile",
        "-f",
        help="Locustfile, or folder of them, with users of your own. Can be repeated.",
        rich_help_panel=_GENERATOR,
    ),
]
UserClasses = Annotated[
    list[str] | None,
    typer.Argument(help="Names of the user classes to run. Default: all of the locustfiles."),
]
LocustArguments = Annotated[
    list[str] | None,
    typer.Option(
        PASSED_ON,
        help="Argument for Locust. Can be repeated. All after -- is for Locust too, and so are its "
        "options --tags, --csv, --html, --class-picker, --otel and others.",
        rich_help_panel=_GENERATOR,
    ),
]
Processes = Annotated[
    int, typer.Option(help="Processes that send the load.", min=1, rich_help_panel=_GENERATOR)
]
WorkersOnRay = Annotated[
    int | None,
    typer.Option(
        help="Number of load processes on the cluster's nodes, instead of on this machine.",
        min=1,
        rich_help_panel=_GENERATOR,
    ),
]
WorkersRuntimeEnv = Annotated[
    Path | None,
    typer.Option(
        help="JSON file with Ray's runtime_env for --workers-on-ray.", rich_help_panel=_GENERATOR
    ),
]
MasterHost = Annotated[
    str | None,
    typer.Option(
        help="HOST[:PORT] at which the cluster's nodes reach this machine.",
        rich_help_panel=_GENERATOR,
    ),
]
Web = Annotated[
    bool,
    typer.Option(
        "--web", help="Open Locust's web page, and start tests there.", rich_help_panel=_GENERATOR
    ),
]
RunCount = Annotated[
    int,
    typer.Option(
        help="Number of runs, one after another, in one folder.", min=1, rich_help_panel=_REPEATS
    ),
]
RetryCount = Annotated[
    int,
    typer.Option(
        help="Maximum repeats of a run that failed through the target.",
        min=0,
        rich_help_panel=_REPEATS,
    ),
]
RetryWait = Annotated[
    float,
    typer.Option(
        help="Seconds before the first repeat; doubled each time.",
        min=0,
        max=3600,
        rich_help_panel=_REPEATS,
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Find the rate that one replica serves within --slo.",
        rich_help_panel=_REPEATS,
    ),
]
CalibrateHold = Annotated[
    float,
    typer.Option(
        help="Minimum seconds to hold each load of a calibration.",
        min=1,
        max=3600,
        rich_help_panel=_REPEATS,
    ),
]


class _Parameter(inspect.Parameter):
    """A parameter that may be named as a keyword of Python is, such as `from`."""

    @property
    def name(self) -> str:
        """Name without the underscore that keeps it apart from a keyword."""
        return super().name.removesuffix("_")


def with_catalog(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the options of the catalog in place of its `**values`."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "values"]
    added = [
        _Parameter(
            f"{option.dest}_",
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
    """Type of an option for typer. None means not given: a locustfile may have its own default."""
    kinds: dict[str, Any] = {"int": int, "float": float, "flag": bool, "list": list[str]}
    shown = option.default is not None and option.type != "flag"
    text = f"{option.help}  [default: {option.default}]" if shown else option.help
    return Annotated[
        kinds.get(option.type, str) | None,
        typer.Option(option.flag, help=text, rich_help_panel=option.section),
    ]


@with_catalog
def run(
    *,
    users: UserClasses = None,
    config: Config = None,  # noqa: ARG001  its callback has made it the other options' defaults
    app: App = None,
    app_arg: AppArguments = None,
    app_dir: AppDir = Path(),
    host: Host = None,
    cpus: Cpus = 4,
    ray: Ray = None,
    ray_python: RayPythons = None,
    app_requirements: AppRequirements = None,
    locustfile: Locustfiles = None,
    locust: LocustArguments = None,
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
    **values: Any,  # noqa: ANN401  the catalog's options, each of its own type
) -> int:
    """Run a load test, and report how the replicas followed it."""
    from scalelag.cli.run.command import run as command

    arguments = RunArguments(
        app=app,
        app_arg=tuple(app_arg or ()),
        host=host,
        cpus=cpus,
        ray=ray,
        ray_python=tuple(ray_python or ()),
        app_requirements=app_requirements,
        app_dir=app_dir,
        locustfile=tuple(locustfile or ()),
        users=tuple(users or ()),
        locust=tuple(locust or ()),
        processes=processes,
        workers_on_ray=workers_on_ray,
        workers_runtime_env=workers_runtime_env,
        master_host=master_host,
        web=web,
        runs=runs,
        retries=retries,
        retry_wait_s=retry_wait,
        calibrate=calibrate,
        calibrate_hold_s=calibrate_hold,
    )
    given = {name: value for name, value in values.items() if value is not None}
    return command(arguments, given)
