"""Findings on environment variables for Ray Serve that the installed Ray never reads."""

import ast
import contextlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from scalelag.record.run_info import LintFinding

_PREFIX = "RAY_SERVE_"
_INSTEAD = {
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "metrics_interval_s",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "metrics_interval_s",
}


def unread_variables(environ: Mapping[str, str], ray: str | None = None) -> list[LintFinding]:
    """Findings on variables in `environ` that have no effect; empty if Ray is not installed here.

    They hold for the Ray that is installed on this machine: empty, too, if that of the cluster is known
    to be another, `ray`.
    """
    names = sorted(name for name in environ if name.startswith(_PREFIX))
    root = ray_folder() if names else None
    if root is None:
        return []
    version = importlib.metadata.version("ray")
    if ray not in (None, version):
        return []
    return [
        LintFinding(None, "variable-read-nowhere", _text(name, version))
        for name in unread(names, root)
    ]


def _text(name: str, version: str) -> str:
    instead = _INSTEAD.get(name)
    advice = f"Set {instead} in autoscaling_config instead." if instead else "Unset it."
    return (
        f"{name} is set in this environment and has no effect: Ray {version}, which is installed "
        f"here, uses it nowhere. {advice}"
    )


def ray_folder() -> Path | None:
    """Folder of the Ray package, found without importing it; None if Ray is not installed."""
    spec = importlib.util.find_spec("ray")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) if folders else None


def unread(names: Iterable[str], root: Path) -> list[str]:
    """Return the `names` that no Python source below `root` uses.

    A variable that is read into a constant counts as used only if the constant is used: Ray 2.60 reads
    two push intervals into constants that are never used. It takes about 0.1 s for all of Ray.
    """
    sources = {path: path.read_bytes() for path in root.rglob("*.py")}
    return [name for name in names if not _is_used(name, sources)]


def _is_used(name: str, sources: Mapping[Path, bytes]) -> bool:
    constants: set[str] = set()
    for tree in _trees_with(name, sources):
        direct, bound = _places(tree, name)
        if direct:
            return True
        constants |= bound
    return any(_is_loaded(constant, sources) for constant in constants)


def _places(tree: ast.Module, name: str) -> tuple[bool, set[str]]:
    """Return whether `name` is a string in an expression, and the constants it is assigned to."""
    bound: dict[ast.AST, set[str]] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if all(isinstance(target, ast.Name) for target in targets):
            constants = {target.id for target in targets if isinstance(target, ast.Name)}
            bound |= {inner: constants for inner in ast.walk(node.value) if _is_text(inner, name)}
    direct = any(_is_text(node, name) and node not in bound for node in ast.walk(tree))
    return direct, set[str]().union(*bound.values())


def _is_text(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == name


def _is_loaded(constant: str, sources: Mapping[Path, bytes]) -> bool:
    return any(
        isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and (node.id if isinstance(node, ast.Name) else node.attr) == constant
        for tree in _trees_with(constant, sources)
        for node in ast.walk(tree)
    )


def _trees_with(word: str, sources: Mapping[Path, bytes]) -> Iterable[ast.Module]:
    for source in sources.values():
        if word.encode() in source:
            with warnings.catch_warnings(), contextlib.suppress(SyntaxError):
                warnings.simplefilter("ignore", SyntaxWarning)  # Ray's own, in its docstrings
                yield ast.parse(source)
