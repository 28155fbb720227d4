"""Nothing but the lifecycle and its run sets their attributes."""

import ast
from pathlib import Path

import pytest

# --- nobody sets an attribute from outside ----------------------------------------------------

ROOT = Path(__file__).parents[2]

OWNERS = {
    "scalelag/plugin/leader/lifecycle.py": "Lifecycle",
    "scalelag/plugin/leader/run_state.py": "RunProgress",
    "scalelag/plugin/leader/run.py": "LeaderRun",
}


def set_attributes(tree: ast.AST) -> list[ast.Attribute]:
    """Attributes that are assigned or deleted anywhere in `tree`."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
    ]


def is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def owned_attributes() -> set[str]:
    names: set[str] = set()
    for path in OWNERS:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names |= {node.attr for node in set_attributes(tree) if is_self(node)}
        methods = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        names |= {node.name for node in methods if node.decorator_list}  # properties
    return {name for name in names if not name.startswith("__")}


def set_from_outside(source: str, owned: set[str]) -> list[str]:
    """Attributes of the owners that `source` sets on anything but `self`."""
    tree = ast.parse(source)
    found = [n.attr for n in set_attributes(tree) if n.attr in owned and not is_self(n)]
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return found + [
        call.args[1].value
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in ("setattr", "delattr")
        and isinstance(call.args[1], ast.Constant)
        and call.args[1].value in owned
    ]


def test_no_module_of_ours_sets_an_attribute_of_the_lifecycle_or_its_run():
    owned = owned_attributes()
    packages = ("scalelag", "locustfiles", "probes", "reports")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]

    found = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := set_from_outside(path.read_text(encoding="utf-8"), owned))
    }

    assert len(files) > 100
    assert {"_run", "_leaving", "_plan_done", "zero_s", "_state"} <= owned
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "run._plan_done = True",
        "lifecycle._run = None",
        "self._lifecycle._leaving = True",
        "run.zero_s += 1",
        "del run.path",
        "setattr(run, '_failure', None)",
    ],
)
def test_a_setting_from_outside_is_found(line):
    assert set_from_outside(line, owned_attributes())
