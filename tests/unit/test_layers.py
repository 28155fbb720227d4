"""Imports only go down the layers of ARCHITECTURE.md, and each outside library has its place."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("scalelag", "locustfiles", "probes", "reports", "serve_apps")

LAYERS = (  # top to bottom
    "scalelag.cli",
    "locustfiles",
    "scalelag.users",
    "scalelag.plugin",
    "scalelag.options",
    "reports.render",
    "scalelag.autoscaler",
    "reports.whatif",
    "reports.analysis",
    "reports.model",
    "scalelag.cluster",
    "scalelag.observer",
    "probes",
    "scalelag.record",
    "scalelag.prompts",
    "scalelag.plan",
    "scalelag.console",
    "scalelag.foreign",
    "scalelag.packages",
    "scalelag.ray_versions",
    "scalelag.wording",
    "scalelag.errors",
)
ROOMS = {  # folders within a layer, each with the folders beside it that it may import
    "reports.analysis.load": (),
    "reports.analysis.lag": ("load",),
    "reports.analysis.seen": ("load", "lag"),
    "reports.analysis.diagnosis": ("lag", "load", "seen"),
    "reports.analysis.elasticity": ("lag", "load"),
    "reports.analysis.charts": ("lag", "load"),
    "reports.analysis.lint": ("lag", "load", "seen"),
    "reports.analysis.events": ("lag", "load"),
    "reports.analysis.comparing": ("charts",),
    "scalelag.plugin.worker": (),
}
BOTTOM = ("scalelag", "reports")  # the roots of packages that hold several layers, alone
STARTERS = {"scalelag.__main__": "scalelag.cli"}  # modules that count as part of a layer

RAY_PROCESSES = (
    "scalelag.autoscaler.ray_names",
    "scalelag.cluster.embedded_main",
    "scalelag.cluster.ray_job.driver_main",
    "scalelag.cluster.ray_job.kill_main",
)
PURE = ("reports.analysis", "reports.whatif")
COMPUTING = (*PURE, "scalelag.autoscaler")
NOT_IN_ANALYSIS = frozenset(
    {"ray", "locust", "gevent", "requests", "pathlib", "os", "time", "socket", "subprocess"}
)
GREENLETS = frozenset({"gevent", "geventhttpclient", "locust"})
WITH_GREENLETS = ("scalelag.users", "scalelag.plugin", "locustfiles")


class Import(NamedTuple):
    """One imported module, absolute, and where it is imported."""

    target: str
    line: int
    in_function: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def named_modules(node: ast.expr | ast.stmt, package: str, known: frozenset[str]) -> list[str]:
    """The absolute names of the modules that one statement or call imports; else nothing."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            parts = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            base = ".".join([*parts, *([module] if module else [])])
            full = [f"{base}.{alias.name}" for alias in names]
            return [name if name in known else base for name in full]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
        case _:
            return []


def imports(
    node: ast.AST, package: str, known: frozenset[str], *, in_function: bool = False
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom | ast.Call):
            for target in named_modules(child, package, known):
                yield Import(target, child.lineno, in_function)
        enters = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(child, package, known, in_function=in_function or enters)


def rank(module: str) -> int | None:
    """Position in the layer list, 0 at the top; None for a module that belongs to no layer."""
    if module in BOTTOM:
        return len(LAYERS)
    layer = STARTERS.get(module, module)
    return next((i for i, name in enumerate(LAYERS) if is_in(layer, name)), None)


def forbidden_outside(module: str, target: str) -> str | None:
    """Why `module` may not import the outside library `target`; None if it may."""
    library = target.partition(".")[0]
    if any(is_in(module, layer) for layer in PURE) and library in NOT_IN_ANALYSIS:
        return "analysis is pure"
    may_import_ray = module in RAY_PROCESSES or module.startswith("serve_apps.")
    if library == "ray" and not may_import_ray:
        return f"only {' and '.join(RAY_PROCESSES)} and the modules of serve_apps import ray"
    may_use_greenlets = any(is_in(module, layer) for layer in WITH_GREENLETS)
    if library in GREENLETS and not may_use_greenlets:
        return f"only {' and '.join(WITH_GREENLETS)} use gevent and locust"
    return None


def forbidden_app(module: str, found: Import) -> str | None:
    """Why `module` may not import from serve_apps as `found` does; None if it may."""
    if not (is_in(module, "scalelag.cluster") or is_in(module, "scalelag.cli")):
        return "only scalelag.cluster and scalelag.cli know serve_apps"
    if found.target != "serve_apps" and not found.in_function:
        return "an app imports ray: import it inside the function that needs it"
    return None


def forbidden_own(module: str, target: str) -> str | None:
    """Why `module` may not import `target`, another module of ours; None if it may."""
    if module == "serve_apps" or module.startswith("serve_apps."):
        return "serve_apps is self-contained"
    here, there = rank(module), rank(target)
    if here is not None and there is not None and there < here:
        return "goes up the layer list"
    if is_in(module, "reports.render") and any(is_in(target, layer) for layer in COMPUTING):
        return "renderers take a finished analysis: what both name stands in reports.model"
    return forbidden_room(module, target)


def forbidden_room(module: str, target: str) -> str | None:
    """Why `module` may not import `target`, in another folder of its layer; None if it may."""
    room = next((name for name in ROOMS if is_in(module, name)), None)
    if room is None or is_in(target, room):
        return None
    layer = room.rpartition(".")[0]
    beside = target.removeprefix(f"{layer}.").partition(".")[0]
    is_folder = is_in(target, layer) and (ROOT / layer.replace(".", "/") / beside).is_dir()
    if is_folder and beside not in ROOMS[room]:
        return f"{room} imports only {ROOMS[room] or 'nothing'} of the folders beside it"
    return None


def forbidden(module: str, found: Import) -> str | None:
    if found.target.split(".")[0] not in PACKAGES:
        return forbidden_outside(module, found.target)
    if is_in(found.target, "serve_apps"):
        if module == "serve_apps":
            return "the table of apps is read without importing an app"
        return None if is_in(module, "serve_apps") else forbidden_app(module, found)
    return forbidden_own(module, found.target)


def violations(
    module: str, source: str, known: frozenset[str] = frozenset(), *, is_package: bool = False
) -> list[str]:
    """Imports of `source`, as the module `module`, against the rules; `known` are our modules."""
    package = module if is_package else module.rpartition(".")[0]
    homeless = rank(module) is None and not is_in(module, "serve_apps")
    return [
        *([f"{module}: belongs to no layer"] if homeless else []),
        *(
            f"{module}:{found.line}: {found.target}: {reason}"
            for found in imports(ast.parse(source), package, known)
            if (reason := forbidden(module, found))
        ),
    ]


def test_no_module_of_ours_imports_against_the_rules():
    files = module_files()
    known = frozenset(module_name(path) for path in files)

    found = [
        line
        for path in files
        for line in violations(
            module_name(path),
            path.read_text(encoding="utf-8"),
            known,
            is_package=path.name == "__init__.py",
        )
    ]

    assert found == []


def test_every_package_was_looked_at():
    seen = {module_name(path).split(".")[0] for path in module_files()}

    assert seen == set(PACKAGES)


def test_architecture_lists_the_layers_in_this_order():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    layers = [row.removesuffix("/").removesuffix(".py").replace("/", ".") for row in rows]

    assert [layer for layer in layers if layer in LAYERS] == list(LAYERS)


KNOWN = frozenset(
    {
        *PACKAGES,
        *LAYERS,
        "scalelag.cli.main",
        "probes.dashboard",
        "reports.render.html",
        "serve_apps.sleeper",
    }
)


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("probes.replica_probe", "import scalelag.cli.main", "goes up"),
        ("probes.replica_probe", "from scalelag import cli", "goes up"),
        ("probes.replica_probe", "from scalelag.cluster import preflight", "goes up"),
        ("scalelag.record.loader", "from ..cli import main", "goes up"),
        ("scalelag.record.loader", "from .. import plugin", "goes up"),
        ("reports.analysis.lag.floor", "from ..comparing import history", "folders beside it"),
        ("reports.analysis.load.slo", "import reports.analysis.lag.timeline", "folders beside it"),
        ("reports.analysis.lag", "from ..render.html import page", "goes up"),
        ("reports.render.text", "from reports.analysis.lag import hold", "finished analysis"),
        ("reports.render.text", "def f():\n    import reports.whatif", "finished analysis"),
        ("scalelag.errors", "def f():\n    import probes.dashboard", "goes up"),
        ("scalelag.errors", "class A:\n    import probes", "goes up"),
        ("scalelag.errors", "if TYPE_CHECKING:\n    from probes import dashboard", "goes up"),
        ("scalelag.errors", "importlib.import_module('probes.dashboard')", "goes up"),
        ("scalelag", "from scalelag.errors import ScalelagError", "goes up"),
        ("scalelag.utils", "", "belongs to no layer"),
        ("reports.shared", "", "belongs to no layer"),
        ("serve_apps.sleeper", "from scalelag import __version__", "self-contained"),
        ("serve_apps", "import ray", "import ray"),
        ("serve_apps", "from .sleeper import app", "table of apps"),
        ("scalelag.cli.run.command", "import serve_apps.sleeper", "inside the function"),
        ("scalelag.cli.run.command", "from serve_apps import sleeper", "inside the function"),
        ("probes.replica_probe", "from serve_apps import APPS", "know serve_apps"),
        ("reports.render.html", "def f():\n    from serve_apps import sleeper", "know serve_apps"),
        ("reports.analysis.lag", "from time import monotonic", "pure"),
        ("reports.analysis.lag", "import os.path", "pure"),
        ("reports.analysis.whatif", "def f():\n    import ray.serve", "pure"),
        ("reports.whatif.replay", "import ray", "pure"),
        ("reports.whatif.replay", "from scalelag.autoscaler import ray_autoscaler", "goes up"),
        ("scalelag.autoscaler.ray_autoscaler", "import ray", "import ray"),
        ("reports.render.html", "from ray import serve", "import ray"),
        ("scalelag.cli.doctor", "import ray", "import ray"),
        ("scalelag.cluster.preflight", "import ray", "import ray"),
        ("probes.replica_probe", "from gevent import sleep", "gevent and locust"),
        (
            "scalelag.cli.run.command",
            "async def f():\n    from locust.env import Environment",
            "locust",
        ),
    ],
)
def test_a_violation_is_caught(module: str, source: str, reason: str):
    is_package = module in PACKAGES

    found = violations(module, source, KNOWN, is_package=is_package)

    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("scalelag.cli.run.command", "from scalelag import __version__\nfrom . import main"),
        ("scalelag.cli.run.command", "from serve_apps import APPS"),
        ("scalelag.__main__", "from scalelag.cli.main import main"),
        ("scalelag.cluster.embedded_main", "import ray\nfrom ray import serve"),
        ("scalelag.cluster.preflight", "from probes import dashboard"),
        ("scalelag.cluster.preflight", "def f():\n    from serve_apps import sleeper"),
        ("scalelag.plugin.worker.recorder", "import gevent\nfrom locust import events"),
        ("probes.replica_probe", "import time\nfrom .dashboard import ServeApi"),
        ("reports.analysis.lag", "import math\nfrom scalelag.record import rows"),
        ("reports.render.text", "from reports.model.steps import StepReport"),
        ("serve_apps.sleeper", "from ray import serve\nfrom serve_apps import APPS"),
    ],
)
def test_what_the_rules_allow_passes(module: str, source: str):
    assert violations(module, source, KNOWN) == []
