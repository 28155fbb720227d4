"""Commands load what they need when they need it: help and version load no heavy library."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("gevent", "locust", "numpy", "plotly", "pyarrow", "ray", "requests", "rich", "scipy")
COMMANDS = ("run", "report", "compare", "whatif", "tune", "runs", "trend", "export", "doctor")
CODE = """
import contextlib, io, sys
from scalelag.cli.__main__ import main
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    main()
assert said.getvalue().strip()
print(*sys.modules, *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize("words", ["--help", "--version", *(f"{name} --help" for name in COMMANDS)])
def test_help_and_version_load_no_heavy_library(words: str):
    command = [sys.executable, "-c", CODE, *words.split()]

    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    assert sorted(set(HEAVY) & set(done.stdout.split())) == []


def test_a_report_loads_neither_pandas_nor_what_runs_clusters_and_other_formats_need():
    run = ROOT / "tests" / "golden" / "stored" / "demo"
    command = [sys.executable, "-c", CODE, "report", str(run), "--format", "json"]

    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    unneeded = {"gevent", "jinja2", "junitparser", "locust", "pandas", "plotly", "ray", "requests"}
    unneeded |= {"pyarrow.parquet"}
    assert sorted(unneeded & set(done.stdout.split())) == []
