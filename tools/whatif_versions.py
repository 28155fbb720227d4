"""The comparison of `tools.whatif_steps` on the installed Ray and on two others, into docs/whatif.md.

Each other version runs in an environment of its own, as `scalelag run --ray` makes them.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from scalelag.cluster.ray_environment import RayChoice, python_with_ray
from tools.marked_page import write_between
from tools.whatif_steps import TURNS, StepDifferences

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "whatif.md"
MARKS: Final = ("<!-- steps -->\n", "<!-- end of steps -->\n")
OTHERS: Final = ("2.55.1", "2.52.1")
_NEEDED: Final = ("msgspec", "numpy")
_TIMEOUT_S: Final = 600.0
_HEAD: Final = (
    "| Ray | turns of the loop | changes of the target | turns in which the total differs |"
    " turns in which the target differs |\n|---|---:|---:|---:|---:|\n"
)


def compare_versions(others: Sequence[str] = OTHERS) -> int:
    """Compare on the installed version and on others, and write the table; 1 if anything differs."""
    found = [compare_with(python) for python in (Path(sys.executable), *map(python_of, others))]
    table = table_of(found, time.strftime("%Y-%m-%d", time.gmtime()))
    write_between(PAGE, MARKS, table)
    sys.stdout.write(table)
    return int(any(one.totals_differ or one.targets_differ for one in found))


def compare_with(python: Path, turns: int = TURNS) -> StepDifferences:
    """Compare with the Ray of a Python that has msgspec and numpy."""
    done = subprocess.run(
        [str(python), "-m", "tools.whatif_steps", str(turns)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=_TIMEOUT_S,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=StepDifferences)


def python_of(ray: str) -> Path:
    """A Python with that version of Ray and what a comparison imports."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        lines = [f"{name}=={version(name)}\n" for name in _NEEDED]
        requirements.write_text("".join(lines), encoding="utf-8")
        return python_with_ray(RayChoice(ray, requirements=requirements), os.environ)


def table_of(found: Sequence[StepDifferences], day: str) -> str:
    """The table of docs/whatif.md."""
    rows = [
        f"| {one.ray} | {one.turns} | {one.decisions} | {one.totals_differ} |"
        f" {one.targets_differ} |\n"
        for one in found
    ]
    return f"{_HEAD}{''.join(rows)}\nCompared on {day}.\n"
