"""Imports of the packages that we ship are asked for in pyproject.toml."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("scalelag", "locustfiles", "probes", "reports", "serve_apps")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported():
    """Top-level names that are imported at the top of a module, with one place each."""
    found = {}
    for package in SHIPPED:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                for name in names:
                    found.setdefault(name.partition(".")[0], path.relative_to(ROOT))
    return found


def test_all_that_is_imported_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {normal(re.match(r"[\w.-]+", text).group()) for text in project["dependencies"]}
    known = packages_distributions()
    others = {
        name: place
        for name, place in imported().items()
        if name not in sys.stdlib_module_names and name not in SHIPPED
    }
    assert {"locust", "ray", "gevent"} <= set(others), "the imports are not found at all"
    missing = {
        f"{name} ({place})"
        for name, place in others.items()
        if not asked & {normal(one) for one in known.get(name, [name])}
    }
    assert not missing


def test_every_dependency_has_a_lowest_version_but_those_that_ray_chooses():
    """`make lowest` installs these, and imports every module."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    without = [text for text in project["dependencies"] if ">=" not in text]

    assert without == ["fastapi", "starlette"]


def test_the_lowest_ray_works_with_the_protobuf_that_pip_takes():
    """Up to 2.57.0 Serve fails with protobuf 7: every deployment, without a word at the install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (ray,) = (text for text in project["dependencies"] if text.startswith("ray"))

    lowest = tuple(map(int, ray.partition(">=")[2].split(".")))

    assert lowest >= (2, 57, 1)


@pytest.mark.parametrize("name", ["locust", "jinja2", "geventhttpclient"])
def test_imports_are_seen(name):
    assert name in imported()
