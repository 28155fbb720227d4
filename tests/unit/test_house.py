"""Sizes and docstrings of our packages, and what test modules share."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("scalelag", "locustfiles", "probes", "reports", "serve_apps")
BESIDE = ("benchmarks", "suites", "tests", "tools")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40
INVERTED = ("What", "Whether", "How", "Where", "When", "None")
"""First words of docstrings that do not begin with a noun or a verb."""


def module_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def every_file() -> list[Path]:
    others = (path for folder in BESIDE for path in (ROOT / folder).rglob("*.py"))
    return [*module_files(), *sorted(others)]


def long_functions(source: str) -> list[str]:
    """`name (N lines)` of each function over the limit; an outer one includes its inner ones."""
    return [
        f"{node.name} ({lines} lines)"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def function_of(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


def test_no_module_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in every_file()
    }

    assert {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES} == {}


def test_no_function_is_too_long():
    found = {
        str(path.relative_to(ROOT)): long_functions(path.read_text(encoding="utf-8"))
        for path in module_files()
    }

    assert {name: functions for name, functions in found.items() if functions} == {}


def test_a_function_one_line_over_the_limit_is_found():
    assert long_functions(function_of(MAX_FUNCTION_LINES)) == []
    assert long_functions(function_of(MAX_FUNCTION_LINES + 1)) == [
        f"f ({MAX_FUNCTION_LINES + 1} lines)"
    ]


def inverted_docstrings(source: str) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented)
    )
    return [text for text in texts if text.partition(" ")[0].rstrip(".:,") in INVERTED]


def test_docstrings_begin_with_a_noun_or_a_verb():
    found = {
        str(path.relative_to(ROOT)): texts
        for path in every_file()
        if (texts := inverted_docstrings(path.read_text(encoding="utf-8")))
    }

    assert found == {}


def test_a_docstring_that_begins_with_a_question_is_found():
    assert inverted_docstrings('"""What it is."""\n') == ["What it is."]
    assert inverted_docstrings('def f():\n    """Whatever it is."""\n') == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_a_package_says_what_it_is(package: str):
    folders = {path.parent for path in (ROOT / package).rglob("*.py")} | {ROOT / package}

    silent = [
        str(folder.relative_to(ROOT))
        for folder in sorted(folders)
        if not (folder / "__init__.py").is_file()
        or not ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    ]

    assert silent == []


def imported_tests(source: str) -> list[str]:
    """Test modules that `source` imports; what tests share stands beside them or in support/."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module or ''}.{alias.name}" for alias in node.names]
    return [name for name in names if any(part.startswith("test_") for part in name.split("."))]


def test_nothing_imports_a_test_module():
    found = {
        str(path.relative_to(ROOT)): names
        for path in every_file()
        if (names := imported_tests(path.read_text(encoding="utf-8")))
    }

    assert found == {}


@pytest.mark.parametrize(
    "source",
    ["from tests.unit.test_mix import counts", "from . import test_mix", "import test_mix"],
)
def test_an_imported_test_module_is_found(source: str):
    assert len(imported_tests(source)) == 1


def structs_that_read_the_environment(source: str) -> list[str]:
    """Frozen structs with `os.environ` in them: it is passed in, or its values are."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        and any(keyword.arg == "frozen" for keyword in node.keywords)
        and "os.environ" in ast.unparse(node)
    ]


def test_no_frozen_struct_reads_the_environment():
    found = [
        name
        for path in module_files()
        for name in structs_that_read_the_environment(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_a_frozen_struct_that_reads_the_environment_is_found():
    source = (
        "class A(Struct, frozen=True):\n    def home(self):\n        return os.environ['HOME']\n"
    )

    assert structs_that_read_the_environment(source) == ["A"]
