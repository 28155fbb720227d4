"""Write the table "before and after" into ARCHITECTURE.md: `python -m tools.house_numbers BEFORE`.

BEFORE is a folder with a checkout of the earlier commit; after is this one. Times and the parses of
`--steps` are measured by running both, against a stand-in for Ray Serve: on a machine that is busy
with other work the times are larger, and their ratio is not.
"""

import argparse
import ast
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.generators import PATH
from benchmarks.server import running_server
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- numbers -->", "<!-- end of numbers -->"
PRODUCT: Final = ("scalelag", "locustfiles", "probes", "reports", "serve_apps")
ROUNDS: Final = 7
_QUESTION: Final = re.compile(r"(What|Whether|How|Where|When|None)\b")
_COUNT_PARSES: Final = """
import importlib.abc, importlib.machinery, os, sys

class CountingLoader(importlib.abc.Loader):
    def __init__(self, inner):
        self.inner = inner
    def create_module(self, spec):
        return self.inner.create_module(spec)
    def exec_module(self, module):
        self.inner.exec_module(module)
        parse = module.parse_plan
        def counted(*args, **named):
            with open(os.environ["PARSES"], "a") as file:
                file.write("parsed\\n")
            return parse(*args, **named)
        module.parse_plan = counted

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in ("scalelag.record.plan", "scalelag.plan.stages"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = CountingLoader(spec.loader)
        return spec

sys.meta_path.insert(0, Finder())
"""


def main() -> None:
    """Measure both, and put the table between its marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    before, after = numbers_of(parser.parse_args().before.resolve()), numbers_of(ROOT)
    rows = [f"| {name} | {number} | {after[name]} |" for name, number in before.items()]
    table = "\n".join(["| | before | after |", "|---|---:|---:|", *rows])
    sys.stdout.write(f"{table}\n")
    above, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    below = rest.partition(END)[2]
    PAGE.write_text(f"{above}{BEGIN}\n\n{table}\n\n{END}{below}", encoding="utf-8")


def numbers_of(tree: Path) -> dict[str, str]:
    """Each number of the table, by its name in the first column."""
    sources = [path for folder in PRODUCT for path in (tree / folder).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in sources}
    modules_in = Counter(path.parent for path in sources if path.name != "__init__.py")
    widest, width = modules_in.most_common(1)[0]
    docstrings = [text for source in texts.values() for text in docstrings_of(source)]
    questions = sum(_QUESTION.match(text) is not None for text in docstrings)
    replaced = sum(
        text.count("structs.replace")
        for path, text in texts.items()
        if tree / "reports" in path.parents
    )
    help_s, pass_s = start_up_s(tree)
    return {
        "files of product code (Python)": f"{len(sources):,}",
        "modules in the widest folder": f"{width} (`{widest.relative_to(tree)}/`)",
        "lines of product code (Python)": f"{sum(len(t.splitlines()) for t in texts.values()):,}",
        "`structs.replace` in `reports/`": str(replaced),
        "docstrings that begin with What, Whether, How, Where, When or None": (
            f"{questions:,} of {len(docstrings):,}"
        ),
        "times that one `scalelag run` parses `--steps`, in all its processes": str(parses(tree)),
        "`scalelag --help` against `python -c pass`": (
            f"{help_s:.2f} s against {pass_s:.2f} s ({help_s / pass_s:.0f} times)"
        ),
    }


def docstrings_of(source: str) -> Iterator[str]:
    """Docstrings of a module, and of its classes and functions."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            yield text


def start_up_s(tree: Path) -> tuple[float, float]:
    """Medians in seconds of `scalelag --help` and of `python -c pass`, run in turns."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    took_s: dict[str, list[float]] = {"help": [], "pass": []}
    commands = {"help": ["-m", "scalelag.cli", "--help"], "pass": ["-c", "pass"]}
    for _ in range(ROUNDS):
        for name, arguments in commands.items():
            begun_s = time.monotonic()
            run_python(arguments, tree, environment)
            took_s[name].append(time.monotonic() - begun_s)
    return statistics.median(took_s["help"]), statistics.median(took_s["pass"])


def parses(tree: Path) -> int:
    """Number of calls of `parse_plan` in one short run with one load process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(_COUNT_PARSES, encoding="utf-8")
        counted = folder / "parses"
        environment = os.environ | {"PYTHONPATH": f"{folder}:{tree}", "PARSES": str(counted)}
        with (
            running_standin(one_deployment(steady_replica())) as standin,
            running_server() as server,
        ):
            arguments = ["-m", "scalelag.cli", "run", "--host", server.url, "--path", PATH]
            arguments += ["--dashboard", standin.url, "--steps", "2rps:2s", "--drain", "0"]
            arguments += ["--out", str(folder / "runs")]
            run_python(arguments, tree, environment)
        return len(counted.read_text(encoding="utf-8").splitlines())


def run_python(arguments: list[str], tree: Path, environment: Mapping[str, str]) -> None:
    """Run Python in `tree`. Raises CalledProcessError if it fails."""
    subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, check=True, capture_output=True
    )


if __name__ == "__main__":
    main()
