"""`make versions`: the demo's plan on several versions of Ray, live checks, and docs/versions.md.

`python -m tools.versions 2.44 2.52` runs those versions alone, and keeps the results of the others.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from reports.model.report import Report
from scalelag.errors import ScalelagError
from scalelag.ray_versions import TOKEN_AUTH, is_at_least
from tools.versions.page import NO_TOKENS, Check, Row, blind_cells, row_of, tables, with_tables
from tools.versions.runs import PLAN, Cell, MadeRun, run_on, run_with_killed_controller

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "versions.md"
RESULTS = Path(__file__).with_name("results.json")
VERSIONS = ("2.10", "2.24", "2.34", "2.44", "2.49", "2.52", "2.55", "2.60")
DEMO = ("--app", "sleeper", "--steps", PLAN)
STARVED = ("--app", "starved", "--app-arg", "num_cpus=3", "--steps", "5rps:10s,40rps:40s")
TO_ZERO = ("--app", "sleeper", "--app-arg", "min_replicas=0", "--app-arg", "initial_replicas=1")
TO_ZERO_PLAN = ("--steps", "40rps:25s,0rps:40s", "--drain", "0")
KILLED_AT_S = 45.0


class Results(msgspec.Struct):
    """Everything that was measured, newest last, by version."""

    made_on: str = ""
    rows: dict[str, Row] = {}
    checks: dict[str, Check] = {}


def cells(version: str) -> list[tuple[Cell, str]]:
    """Runs of a version, each with the words for its token."""
    if not is_at_least(version, TOKEN_AUTH):
        return [(Cell(version), NO_TOKENS)]
    return [(Cell(version), "demanded"), (Cell(version, with_token=False), "off")]


def of_restart(report: Report) -> tuple[str, bool]:
    """Result of a run whose controller was killed."""
    return f"{report.probe.restarts} restart(s)", report.probe.restarts == 1


def of_resources(report: Report) -> tuple[str, bool]:
    """Result of a run whose replicas want more than there is."""
    causes = {str(s.cause) for d in report.deployments.values() for s in d.steps if s.cause}
    return ", ".join(sorted(causes)) or "no cause", "resources" in causes


def of_zero(report: Report) -> tuple[str, bool]:
    """Result of a run that scales from several replicas to none."""
    steps = [s for d in report.deployments.values() for s in d.steps if s.direction == "down"]
    if not steps:
        return "no step down", False
    last = steps[-1]
    floor = "none" if last.floor is None else f"{last.floor.total_s:.1f} s"
    text = f"{last.replicas_before} to {last.replicas_after}, floor {floor}"
    return text, last.replicas_after == 0 and last.floor is not None


Judge = Callable[[Report], tuple[str, bool]]
Runner = Callable[[Path], MadeRun]


def checks_of(version: str) -> Iterator[tuple[str, Runner, Judge]]:
    """Live checks of a version: what, how, and whether it was right."""
    cell = Cell(version)
    if version in ("2.55", "2.60"):
        yield (
            "a controller that is killed is a restart",
            lambda out: run_with_killed_controller(cell, out, KILLED_AT_S),
            of_restart,
        )
    if version in ("2.24", "2.49", "2.60"):
        yield "`resources` is found", lambda out: run_on(cell, out, *STARVED), of_resources
    if version in ("2.49", "2.60"):
        yield (
            "several replicas to none, with a floor",
            lambda out: run_on(cell, out, *TO_ZERO, *TO_ZERO_PLAN),
            of_zero,
        )


def measure(versions: Sequence[str], folder: Path, results: Results) -> list[str]:
    """Run everything of `versions` into `results`; returns what went wrong."""
    wrong: list[str] = []
    for version in versions:
        for number, (cell, token) in enumerate(cells(version)):
            made = _made(_demo(cell), folder / version / f"{number}")
            wrong += _noted(results, version, token, made)
            _store(results)
        for number, (what, runner, judge) in enumerate(checks_of(version)):
            made = _made(runner, folder / version / f"check-{number}")
            found, right = judge(made.report) if made.report else (made.said[-200:], False)
            results.checks[f"{version} {what}"] = Check(
                version, what, " ".join(found.split()), right
            )
            wrong += [] if right else [f"{version}: {what}: {found}"]
            _say(f"{version} {what}: {found}")
            _store(results)
    return wrong


def _demo(cell: Cell) -> Runner:
    return lambda out: run_on(cell, out, *DEMO)


def _made(runner: Runner, out: Path) -> MadeRun:
    try:
        return runner(out)
    except ScalelagError as error:
        return MadeRun(None, str(error))


def _noted(results: Results, version: str, token: str, made: MadeRun) -> list[str]:
    name = f"{version} {token}"
    if made.report is None:
        results.rows[name] = Row(
            version, token, {}, (f"no run: {' '.join(made.said[-300:].split())}",)
        )
        _say(f"{name}: no run: {made.said}")
        return [f"{name}: no run"]
    row = row_of(made.report, token)
    results.rows[name] = row
    _say(f"{name}: Ray {row.version}: {row.shown} {row.reasons}")
    return [f"{name}: {cell} is missing without a reason" for cell in blind_cells(row)]


def _store(results: Results) -> None:
    results.made_on = time.strftime("%Y-%m-%d", time.gmtime())
    order = {f"{v} {token}": None for v in VERSIONS for _, token in cells(v)}
    rows = [results.rows[name] for name in order if name in results.rows]
    checks = [c for v in VERSIONS for c in results.checks.values() if c.version == v]
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(page, tables(rows, checks, results.made_on)), encoding="utf-8")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Measure the versions that were named, or all; 1 where a cell is blind or a check was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=", ".join(VERSIONS))
    parser.add_argument("--keep", type=Path, help="folder for the run directories")
    chosen = parser.parse_args()
    unknown = set(chosen.versions) - set(VERSIONS)
    if unknown:
        parser.error(f"no such version here: {', '.join(sorted(unknown))}")
    results = Results()
    if chosen.versions and RESULTS.exists():
        results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    with tempfile.TemporaryDirectory(prefix="scalelag-versions-") as scratch:
        wrong = measure(chosen.versions or VERSIONS, chosen.keep or Path(scratch), results)
    _say("\n".join(["wrong:", *wrong]) if wrong else "every cell has a value or a reason")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
