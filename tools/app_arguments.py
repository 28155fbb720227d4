"""Write docs/serve-apps-arguments.md: the arguments of the applications in serve_apps/.

`python -m tools.app_arguments`; a test checks that the page is current.
"""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from serve_apps import BUILT_IN
from serve_apps.scaling import ScalingArgs

PAGE: Final = Path(__file__).parents[1] / "docs" / "serve-apps-arguments.md"
_HEAD: Final = """\
# The applications and their arguments

Written by `python -m tools.app_arguments` from `serve_apps/`. [serve-apps.md](serve-apps.md) says
how to run them. An argument that does not exist or is out of bounds stops the
deployment, and the message names it.

All applications take the scaling arguments. The other sections list what an application adds, or
sets to another default. `slow_start`, `sick_start`, `sick_health`, `starved`, `multiplexed`,
`grpc_echo` and `websocket_echo` also take the arguments of `sleeper`. In a YAML file the groups of
`pipeline` and `front` are nested.
"""
_TABLE: Final = "| argument | default | meaning |\n|---|---|---|"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of the page."""
    apps = [f"| [`{name}`](#{name}) | {_about(name)} |" for name in BUILT_IN]
    overview = "\n".join(["| application | what it shows |\n|---|---|", *apps, ""])
    models = {"Scaling arguments": ScalingArgs, **{name: arguments_of(name) for name in BUILT_IN}}
    sections = [f"## {title}\n\n{_section(model)}\n" for title, model in models.items()]
    return "\n".join([_HEAD, overview, *sections])


def _about(app: str) -> str:
    """Return the first sentence of an application's module, without its stop."""
    module = importlib.import_module(BUILT_IN[app].partition(":")[0])
    return (module.__doc__ or "").splitlines()[0].rstrip(".")


def arguments_of(app: str) -> type[BaseModel]:
    """Return the model of the arguments that an application's builder takes."""
    module, _, builder = BUILT_IN[app].partition(":")
    build = getattr(importlib.import_module(module), builder)
    return inspect.get_annotations(build, eval_str=True)["args"]


def _section(model: type[BaseModel]) -> str:
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in _rows(model)]
    return "\n".join([_TABLE, *rows]) if rows else "None of its own."


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of the arguments that the model itself declares."""
    for name in model.model_fields:
        if name not in inspect.get_annotations(model):
            continue
        field = model.model_fields[name]
        if isinstance(field.default, BaseModel):
            yield from _rows(type(field.default), f"{name}.")
        else:
            yield prefix + name, _text(field.default), (field.description or "").rstrip(".")


def _text(default: Any) -> str:  # noqa: ANN401  any value of a field
    if default is None or default == {}:
        return "unset"
    return default if isinstance(default, str) else f"{default:g}"


if __name__ == "__main__":
    main()
