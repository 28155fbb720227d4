"""Docs list what the commands offer, and no document leaks a place of ours."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.page import PAGE, filled, newest
from reports.analysis.metrics import metric_names
from scalelag.plugin.leader.run_state import TRANSITIONS
from tools.diagnosis.results import load_results, summary

ROOT = Path(__file__).parents[2]
COMMANDS_MD = ROOT / "docs" / "commands.md"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?![\w-])")

CODE_FOLDERS = ("scalelag", "locustfiles", "probes", "reports", "serve_apps", "tests", "benchmarks")
# In pieces, so that this file does not match itself.
REGISTRIES = (
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("npm", "js.org"),
    ("npm", "js.com"),
    ("yarn", "pkg.com"),
    ("crates", ".io"),
    ("deb.", "debian.org"),
    ("ana", "conda.org"),
)
MACHINE_FOLDERS = (("/wo", "rk/"), ("/ro", "ot/"))
LEAK = re.compile(
    "|".join(
        [
            *(re.escape("".join(pieces)) for pieces in REGISTRIES),
            *(r"(?<![\w.$}])" + re.escape("".join(pieces)) for pieces in MACHINE_FOLDERS),
        ]
    )
)


def commands(command: Any, path: str = "scalelag") -> Iterator[tuple[str, Any]]:
    """Each command that is shown in help, with the words that call it.

    Typer brings a click of its own in some versions, so the tree is read by its attributes.
    """
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from commands(child, f"{path} {name}")


def long_options(command: Any) -> set[str]:
    return {
        option
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    } - {"--help"}


def tree_of(app: typer.Typer) -> list[tuple[str, Any]]:
    return list(commands(typer.main.get_command(app)))


def options_of(tree: list[tuple[str, Any]]) -> set[str]:
    return set().union(*(long_options(command) for _, command in tree))


def options_in(text: str) -> set[str]:
    return set(OPTION.findall(text))


def options_in_tables(text: str) -> set[str]:
    """Options in the first column of Markdown tables: the ones that a table is about."""
    rows = (line.strip() for line in text.splitlines())
    return options_in("\n".join(row.split("|")[1] for row in rows if row.startswith("|")))


@pytest.fixture
def documented() -> str:
    return COMMANDS_MD.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cli_tree() -> list[tuple[str, Any]]:
    from scalelag.cli.main import app  # noqa: PLC0415 (the other tests need no command)

    return tree_of(app)


@pytest.fixture(scope="module")
def plugin_options() -> set[str]:
    """In a process of its own: importing Locust would monkey-patch this one."""
    code = (
        "import json; from scalelag.options.catalog import OPTIONS; "
        "print(json.dumps([option.flag for option in OPTIONS]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout))


def test_every_command_is_documented(cli_tree: list[tuple[str, Any]], documented: str):
    names = [name for name, _ in cli_tree]

    assert len(names) > 1
    assert [name for name in names if not re.search(rf"{name}(?![\w-])", documented)] == []


def test_every_option_of_a_command_is_documented(cli_tree: list[tuple[str, Any]], documented: str):
    assert sorted(options_of(cli_tree) - options_in(documented)) == []


def test_every_option_of_the_plugin_is_documented(plugin_options: set[str], documented: str):
    assert plugin_options
    assert sorted(plugin_options - options_in(documented)) == []


def test_every_option_in_a_table_of_the_docs_exists(
    cli_tree: list[tuple[str, Any]], plugin_options: set[str], documented: str
):
    known = options_of(cli_tree) | plugin_options | {"--help"}

    assert options_in_tables(documented)
    assert sorted(options_in_tables(documented) - known) == []


CALL = re.compile(
    r"\bscalelag (run|report|export|compare|matrix|whatif|tune|runs|trend|doctor)\b([^\n#]*)"
)


def calls_in(text: str) -> list[tuple[str, str]]:
    """Calls of our commands in the documents' code, as command and rest of the line."""
    code = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL))
    # A line that ends in a backslash, or is folded in YAML, goes on in the next one.
    joined = re.sub(r"(?:\\|(?<=run: >))\n\s*|\n\s+(?=--)", " ", code)
    return CALL.findall(joined)


def test_every_call_in_the_docs_has_options_that_its_command_knows(
    cli_tree: list[tuple[str, Any]],
):
    known = {name: long_options(command) for name, command in cli_tree}
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    calls = [(path, *call) for path in documents for call in calls_in(path.read_text())]

    assert len(calls) > 10
    assert [
        (path.name, command, option)
        for path, command, rest in calls
        for option in sorted(options_in(rest) - known[f"scalelag {command}"])
    ] == []


def test_calls_are_found_over_several_lines():
    text = "```\nscalelag run --a 1 \\\n    --b 2  # --c\nother --d\n```\nscalelag run --e"

    assert [(name, options_in(rest)) for name, rest in calls_in(text)] == [("run", {"--a", "--b"})]


def test_every_file_with_options_in_the_docs_is_one_that_a_run_takes(
    cli_tree: list[tuple[str, Any]], tmp_path: Path
):
    from scalelag.cli.run.config_file import kinds_of, read_options  # noqa: PLC0415  as above

    run = dict(cli_tree)["scalelag run"]
    texts = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    blocks = [
        block for text in texts for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    ]
    path = tmp_path / "scalelag.toml"

    assert len(blocks) >= 2
    for block in blocks:
        path.write_text(block)
        options = read_options(path, kinds_of(run.params))
        assert {"app", "steps", "gate"} <= set(options)


def test_the_walk_finds_nested_commands_both_forms_and_leaves_out_what_is_hidden():
    app, inner = typer.Typer(add_completion=False), typer.Typer()

    @inner.command()
    def lag(strict: bool = False, secret: str = typer.Option("", hidden=True)): ...

    @inner.command()
    def rows(out: str = typer.Option("", "--out", "-o")): ...

    @app.command(hidden=True)
    def internal(pipe: int = 0): ...

    app.add_typer(inner, name="report")
    tree = tree_of(app)

    assert [name for name, _ in tree] == [
        "scalelag",
        "scalelag report",
        "scalelag report lag",
        "scalelag report rows",
    ]
    assert options_of(tree) == {"--strict", "--no-strict", "--out"}


def test_options_are_read_as_whole_words_and_tables_by_their_first_column():
    text = (
        "Use --out-dir.\n\n| option | meaning |\n|---|---|\n| `--steps`, `-s` | not `--users` |\n"
    )

    assert options_in(text) == {"--out-dir", "--steps", "--users"}
    assert options_in_tables(text) == {"--steps"}


def public_files() -> list[Path]:
    named = ("Makefile", ".ci/run", "pyproject.toml", "constraints.txt", ".pre-commit-config.yaml")
    return [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py")),
        *(ROOT / name for name in named),
    ]


def test_no_file_names_a_package_registry_or_a_folder_of_one_machine():
    found = {
        str(path.relative_to(ROOT)): leaks
        for path in public_files()
        if (leaks := LEAK.findall(path.read_text(encoding="utf-8")))
    }

    assert ROOT / "README.md" in public_files()
    assert found == {}


@pytest.mark.parametrize("pieces", [*REGISTRIES, *MACHINE_FOLDERS])
def test_a_leak_is_caught(pieces: tuple[str, str]):
    assert LEAK.search(f"see {''.join(pieces)}main")


@pytest.mark.parametrize("before", ["team", "docs", "{ROOT}", "."])
def test_a_folder_of_the_repository_is_no_leak(before: str):
    folder = "".join(MACHINE_FOLDERS[0])

    assert not LEAK.search(f"{before}{folder if before != 'team' else folder[1:]}main")


def test_docs_gates_names_every_figure():
    listed = (ROOT / "docs" / "gates.md").read_text().rpartition("## All metrics")[2]
    figures = [name for name in metric_names() if not name.startswith("load.")]

    assert re.findall(r"^[a-z]\S+$", listed, re.MULTILINE) == figures


def test_the_table_of_diagnosis_runs_is_that_of_the_stored_results():
    assert summary(load_results()) in (ROOT / "docs" / "diagnosis.md").read_text()


def test_the_tables_of_benchmarks_are_those_of_the_newest_results():
    page = PAGE.read_text()

    assert page.count("<!-- table: ") == page.count("<!-- end of table -->") == 3
    assert filled(page, newest()) == page


IMPORT = re.compile(r"^from (scalelag[\w.]*) import ([\w, ]+)$", re.MULTILINE)


def test_locustfiles_in_the_docs_import_public_names_by_the_one_door():
    from scalelag import users  # noqa: PLC0415  as above

    texts = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    imports = [found for text in texts for found in IMPORT.findall(text)]
    names = [name.strip() for _, listed in imports for name in listed.split(",")]

    assert len(imports) > 3
    assert {module for module, _ in imports} == {"scalelag.users"}
    assert sorted(set(names) - set(users.__all__)) == []


STATE = re.compile(r"^\| ([A-Z]+) \| [^|]+ \| ([A-Z, ]+) \|$", re.MULTILINE)


def test_the_architecture_has_every_state_of_a_run_with_its_transitions():
    listed = STATE.findall((ROOT / "ARCHITECTURE.md").read_text())

    assert {state: set(following.split(", ")) for state, following in listed} == {
        state.name: {one.name for one in following} for state, following in TRANSITIONS.items()
    }
