"""Options and help of `scalelag run`: its own, and those of the catalog.

Apart from what the command does, so that `--help` loads neither Locust nor any analysis.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
import typer

from scalelag.cli.run.config_file import Config
from scalelag.cli.run.locust_arguments import PASSED_ON
from scalelag.options.catalog import OPTIONS
from scalelag.options.option import Option

DEFAULT_CPUS = 4
"""CPUs of a cluster that scalelag starts, unless `--cpus` says otherwise."""
_TARGET = "Target"
_GENERATOR = "Load generator"
_REPEATS = "Repeats and calibration"


class RunArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Options that only `scalelag run` has: their values, and their descriptions for typer.

    A tuple is an option that can be repeated.
    """

    users: Annotated[
        tuple[str, ...],
        typer.Argument(help="Names of the user classes to run. Default: all of the locustfiles."),
    ] = ()
    app: Annotated[
        str | None,
        typer.Option(
            help="Application to deploy: a built-in name, IMPORT_PATH, or a Serve CONFIG.yaml.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    app_arg: Annotated[
        tuple[str, ...],
        typer.Option(
            help="KEY=VALUE for the application's builder. Can be repeated.",
            rich_help_panel=_TARGET,
        ),
    ] = ()
    app_dir: Annotated[
        Path,
        typer.Option(
            help="Folder in which the module of --app is looked for first.", rich_help_panel=_TARGET
        ),
    ] = Path()
    autoscaling: Annotated[
        Path | None,
        typer.Option(
            help="File with the autoscaling_config of deployments, in place of the application's own: "
            "as scalelag tune --out writes it.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    host: Annotated[
        str | None,
        typer.Option(
            help="URL of an existing Serve endpoint. Default: start a Ray cluster on this machine.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    cpus: Annotated[
        int | None,
        typer.Option(
            help=f"CPUs that the started cluster offers. Default: {DEFAULT_CPUS}.",
            min=1,
            rich_help_panel=_TARGET,
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            help="Version of Ray for the started cluster, such as 2.44. "
            "Default: the one installed here.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    ray_python: Annotated[
        tuple[str, ...],
        typer.Option(
            help="VERSION=PATH: Python that has that version of Ray for --ray. Can be repeated.",
            rich_help_panel=_TARGET,
        ),
    ] = ()
    app_requirements: Annotated[
        Path | None,
        typer.Option(
            help="File with requirements of the application for --ray, as pip reads it.",
            rich_help_panel=_TARGET,
        ),
    ] = None
    haproxy: Annotated[
        bool,
        typer.Option(
            "--haproxy",
            help="Start the cluster with HAProxy in place of Serve's own proxy (Ray 2.55 or later).",
            rich_help_panel=_TARGET,
        ),
    ] = False
    locustfile: Annotated[
        tuple[Path, ...],
        typer.Option(
            "--locustfile",
            "-f",
            help="Locustfile, or folder of them, with users of your own. Can be repeated.",
            rich_help_panel=_GENERATOR,
        ),
    ] = ()
    locust: Annotated[
        tuple[str, ...],
        typer.Option(
            PASSED_ON,
            help="Argument for Locust. Can be repeated. All after -- is for Locust too, and so are its "
            "options --tags, --csv, --html, --class-picker, --otel and others.",
            rich_help_panel=_GENERATOR,
        ),
    ] = ()
    processes: Annotated[
        int, typer.Option(help="Processes that send the load.", min=1, rich_help_panel=_GENERATOR)
    ] = 1
    workers_on_ray: Annotated[
        int | None,
        typer.Option(
            help="Number of load processes on the cluster's nodes, instead of on this machine.",
            min=1,
            rich_help_panel=_GENERATOR,
        ),
    ] = None
    workers_runtime_env: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with Ray's runtime_env for --workers-on-ray.",
            rich_help_panel=_GENERATOR,
        ),
    ] = None
    master_host: Annotated[
        str | None,
        typer.Option(
            help="HOST[:PORT] at which the cluster's nodes reach this machine.",
            rich_help_panel=_GENERATOR,
        ),
    ] = None
    web: Annotated[
        bool,
        typer.Option(
            "--web",
            help="Open Locust's web page, and start tests there.",
            rich_help_panel=_GENERATOR,
        ),
    ] = False
    runs: Annotated[
        int,
        typer.Option(
            help="Number of runs, one after another, in one folder.",
            min=1,
            rich_help_panel=_REPEATS,
        ),
    ] = 1
    retries: Annotated[
        int,
        typer.Option(
            help="Maximum repeats of a run that failed through the target.",
            min=0,
            rich_help_panel=_REPEATS,
        ),
    ] = 0
    retry_wait_s: Annotated[
        float,
        typer.Option(
            help="Seconds before the first repeat; doubled each time.",
            min=0,
            max=3600,
            rich_help_panel=_REPEATS,
        ),
    ] = 10.0
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Find the rate that one replica serves within --slo.",
            rich_help_panel=_REPEATS,
        ),
    ] = False
    calibrate_hold_s: Annotated[
        float,
        typer.Option(
            help="Minimum seconds to hold each load of a calibration.",
            min=1,
            max=3600,
            rich_help_panel=_REPEATS,
        ),
    ] = 15.0


class _Parameter(inspect.Parameter):
    """A parameter that may be named as a keyword of Python is, such as `from`."""

    @property
    def name(self) -> str:
        """Name without the underscore that keeps it apart from a keyword."""
        return super().name.removesuffix("_")


def with_options(*left_out: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of RunArguments and of the catalog in place of its `**values`.

    Fields of RunArguments that are `left_out` keep their defaults.
    """
    fields = msgspec.structs.fields(RunArguments)
    own = [_own_parameter(field) for field in fields if field.name not in left_out]
    return _with([*own, *map(_catalog_parameter, OPTIONS)])


def with_catalog(options: Sequence[Option]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command some options of the catalog in place of its `**values`."""
    return _with(list(map(_catalog_parameter, options)))


def _with(
    parameters: Sequence[inspect.Parameter],
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        explicit = [p for p in inspect.signature(command).parameters.values() if p.name != "values"]
        every = [*explicit, *parameters]
        command.__signature__ = inspect.Signature(every)  # pyright: ignore[reportFunctionMemberAccess]
        command.__annotations__ = {p.name: p.annotation for p in every}
        return command

    return decorate


def _own_parameter(field: msgspec.structs.FieldInfo) -> _Parameter:
    """Parameter for a field of RunArguments; typer reads an option that can be repeated as a list."""
    kind, described = get_args(field.type)
    default = field.default
    if get_origin(kind) is tuple:
        kind, default = list[get_args(kind)[0]] | None, None
    return _Parameter(
        _option_name(field.name),
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, described],
    )


def _option_name(field: str) -> str:
    """Name of an option by its field, which has the unit too."""
    return field.removesuffix("_s")


def _catalog_parameter(option: Option) -> _Parameter:
    return _Parameter(
        f"{option.dest}_",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=_annotation(option),
    )


def _annotation(option: Option) -> Any:  # noqa: ANN401  a type is made here
    """Type of an option for typer. None means not given: a locustfile may have its own default."""
    kinds: dict[str, Any] = {"int": int, "float": float, "flag": bool, "list": list[str]}
    shown = option.default is not None and option.type != "flag"
    text = f"{option.help}  [default: {option.default}]" if shown else option.help
    return Annotated[
        kinds.get(option.type, str) | None,
        typer.Option(option.flag, help=text, rich_help_panel=option.section),
    ]


@with_options()
def run(
    *,
    config: Config = None,  # noqa: ARG001  its callback has made it the other options' defaults
    **values: Any,  # noqa: ANN401  options of RunArguments and the catalog, each of its own type
) -> int:
    """Run a load test, and report how the replicas followed it."""
    from scalelag.cli.run.command import run as command

    return command(*split(values))


def split(values: dict[str, Any]) -> tuple[RunArguments, dict[str, Any]]:
    """Return options of `scalelag run` alone, and those of the catalog that were given."""
    names = {name: _option_name(name) for name in RunArguments.__struct_fields__}
    own = {name: values.get(option) for name, option in names.items()}
    arguments = RunArguments(**{name: _frozen(v) for name, v in own.items() if v is not None})
    others = values.keys() - set(names.values())
    return arguments, {name: values[name] for name in others if values[name] is not None}


def _frozen(value: Any) -> Any:  # noqa: ANN401  any option's value
    return tuple(value) if isinstance(value, list) else value
