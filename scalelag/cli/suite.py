"""`scalelag suite`: Ray's own scaling tests as runs, each in a file of options of `scalelag run`."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

import scalelag
from scalelag.errors import EXIT_PASSED, UsageError
from scalelag.options.toml_file import nearest
from scalelag.plan.stages import parse_plan

FOLDER = Path(scalelag.__file__).parents[1] / "suites"


class Suite(msgspec.Struct, frozen=True):
    """A suite: its name, a line for each size, and the longest time of their loads in seconds."""

    name: str
    smoke: str
    smoke_s: float
    full: str
    full_s: float


def suites() -> Iterator[Suite]:
    """Yield all suites, by name."""
    for folder in sorted(path.parent for path in FOLDER.glob("*/smoke.toml")):
        yield Suite(
            folder.name, *_described(folder / "smoke.toml"), *_described(folder / "full.toml")
        )


def suite_file(name: str | None, *, smoke: bool) -> Path:
    """Return the file of a suite. Raises UsageError if there is none of that name."""
    names = [one.name for one in suites()]
    if name not in names:
        hint = nearest(name or "", names, f"there are {', '.join(names)}.")
        asked = f'"{name}" is no suite' if name else "give the name of a suite first"
        raise UsageError(f"suite: {asked}; {hint}")
    return FOLDER / name / ("smoke.toml" if smoke else "full.toml")


def print_suites() -> int:
    """Print a line for each size of each suite, and return the exit code."""
    rows = [("suite", "size", "load", "what it runs")]
    for one in suites():
        rows.append((one.name, "--smoke", _minutes(one.smoke_s), one.smoke))
        rows.append(("", "full", _minutes(one.full_s), one.full))
    for name, size, load, line in rows:
        print(f"{name:<19} {size:<8} {load:>8}  {line}")
    return EXIT_PASSED


def _described(path: Path) -> tuple[str, float]:
    """Return the first line of a suite's file, and the longest time of its load in seconds."""
    text = path.read_text(encoding="utf-8")
    return text.partition("\n")[0].lstrip("# "), parse_plan(tomllib.loads(text)["steps"]).duration_s


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
