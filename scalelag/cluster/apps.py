"""Turns the value of `--app` into applications in Serve's REST schema."""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import yaml

from scalelag.errors import UsageError
from serve_apps import BUILT_IN, GRPC_SERVICERS

AppConfig = dict[str, Any]
"""One application, as in `applications` of a Serve config file."""

_MOST_VALUES = 1_000_000
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def resolve_app(
    name: str, arguments: Sequence[str], *, importable_here: bool, folder: Path = Path()
) -> list[AppConfig]:
    """Applications of `name`: a built-in app, an IMPORT_PATH or a CONFIG.yaml.

    `arguments` are KEY=VALUE for the app's builder. With `importable_here` the module must exist on
    this machine, in `folder` or on the Python path. Raises UsageError with the reason.
    """
    if name.endswith((".yaml", ".yml")):
        if arguments:
            raise UsageError(
                "--app-arg cannot be used with a config file: put the arguments under `args` in "
                f"{name}."
            )
        return read_config(Path(name))
    import_path = BUILT_IN.get(name, name)
    if not _IMPORT_PATH.fullmatch(import_path):
        raise UsageError(
            f'--app "{name}" is no built-in app ({", ".join(BUILT_IN)}), no import path such as '
            "my_module:app, and no Serve config file (.yaml)."
        )
    if importable_here:
        _check_importable(import_path, folder)
    app: AppConfig = {"name": "default", "route_prefix": "/", "import_path": import_path}
    if arguments:
        app["args"] = _arguments(arguments)
    return [app]


def with_autoscaling(apps: Sequence[AppConfig], path: Path) -> list[AppConfig]:
    """The applications with the `autoscaling_config` of deployments that a Serve config file has.

    Such a file needs no import path: `scalelag tune --out` writes one. Raises UsageError if it
    names none, or an application that is not among `apps`.
    """
    given = _autoscaling_of(path)
    names = [str(app.get("name", "default")) for app in apps]
    if others := sorted(given.keys() - set(names)):
        raise UsageError(
            f"--autoscaling {path} names the application {', '.join(others)}; --app deploys "
            f"{', '.join(names) or 'none'}."
        )
    return [
        {**app, "deployments": _overridden(app, given[name])} if name in given else app
        for name, app in zip(names, apps, strict=True)
    ]


def _autoscaling_of(path: Path) -> dict[str, dict[str, Any]]:
    """Autoscaling configurations in a file, by application and deployment."""
    found: dict[str, dict[str, Any]] = {}
    applications = _document(path, "--autoscaling").get("applications")
    for app in applications if isinstance(applications, list) else ():
        deployments = app.get("deployments") if isinstance(app, Mapping) else None
        for one in deployments if isinstance(deployments, list) else ():
            config = one.get("autoscaling_config") if isinstance(one, Mapping) else None
            if isinstance(config, Mapping) and one.get("name"):
                own = found.setdefault(str(app.get("name", "default")), {})
                own[str(one["name"])] = dict(config)
    if not found:
        raise UsageError(
            f"--autoscaling {path} has no autoscaling_config of a deployment: it reads as the file "
            "that scalelag tune --out writes."
        )
    return found


def _overridden(app: AppConfig, configs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Overrides of an application's deployments, with other autoscaling configurations."""
    there = {str(one["name"]): one for one in app.get("deployments") or ()}
    for name, config in configs.items():
        kept = {k: v for k, v in there.get(name, {}).items() if k != "num_replicas"}
        there[name] = {**kept, "name": name, "autoscaling_config": config}
    return list(there.values())


def grpc_servicers(name: str) -> tuple[str, ...]:
    """The `grpc_servicer_functions` with which Serve must start for the applications of `name`.

    A Serve config file has them in its `grpc_options`. Of other applications only our own are known.
    Raises UsageError if the file is no config file.
    """
    if not name.endswith((".yaml", ".yml")):
        return GRPC_SERVICERS.get(BUILT_IN.get(name, name), ())
    options = _document(Path(name)).get("grpc_options") or {}
    functions = options.get("grpc_servicer_functions") if isinstance(options, Mapping) else options
    if functions is None:
        return ()
    if not isinstance(functions, list) or not all(isinstance(f, str) for f in functions):
        raise UsageError(
            f"--app {name}: grpc_servicer_functions in grpc_options must be a list of import paths."
        )
    return tuple(functions)


def _check_importable(import_path: str, folder: Path) -> None:
    module = import_path.partition(":")[0]
    if not _exists(module, folder):
        raise UsageError(
            f'--app "{import_path}": there is no module {module} in {folder.absolute()} or on the '
            "Python path. Name its folder with --app-dir, or put it on PYTHONPATH."
        )


def _exists(module: str, folder: Path) -> bool:
    """Return whether a module can be found; packages around it are not imported, but looked into."""
    first, *rest = module.split(".")
    try:
        spec = PathFinder.find_spec(first, [str(folder.absolute())]) or _found(first, None)
        for number in range(len(rest)):
            if spec is None or not spec.submodule_search_locations:
                return False
            name = ".".join([first, *rest[: number + 1]])
            spec = _found(name, list(spec.submodule_search_locations))
    except (ImportError, ValueError):
        return False
    return spec is not None


def _found(name: str, places: Sequence[str] | None) -> ModuleSpec | None:
    """Return what any finder of this Python has: an editable install may bring one of its own."""
    specs = (finder.find_spec(name, places) for finder in sys.meta_path)
    return next((spec for spec in specs if spec), None)


def _arguments(texts: Sequence[str]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f'--app-arg "{text}" is not of the form KEY=VALUE.')
        arguments[key.strip()] = value
    return arguments


def _document(path: Path, option: str = "--app") -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it is no UTF-8 text: {error}"
        raise UsageError(f"{option} {path} cannot be read: {why}.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{option} {path} is not valid YAML: {error}.") from error
    if odd := _not_json(document):
        raise UsageError(f"{option} {path} holds {odd}, which cannot be sent to Serve.")
    return document if isinstance(document, Mapping) else {}


def _not_json(document: object) -> str:
    """Return words on a part of a document that JSON cannot hold; empty if there is none.

    An alias of YAML may stand for a million values, or for the list that it is in.
    """
    waiting: list[object] = [document]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return ""
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float) and not math.isfinite(value):
            return f"the number {value}"
        elif value is not None and not isinstance(value, str | int | float):
            return f"{str(value)[:40]!r}, a {type(value).__name__} (in quotes it would be a text)"
    return f"more than {_MOST_VALUES:,} values (an alias within itself?)"


def read_config(path: Path, option: str = "--app") -> list[AppConfig]:
    """Applications in a Serve config file that `option` names. Raises UsageError with the reason."""
    applications = _document(path, option).get("applications")
    if not isinstance(applications, list) or not applications:
        raise UsageError(f"{option} {path} is no Serve config: it has no list of applications.")
    for number, app in enumerate(applications, start=1):
        if not isinstance(app, Mapping) or not app.get("import_path"):
            raise UsageError(f"{option} {path}: application {number} has no import_path.")
    return [dict(app) for app in applications]
