"""Both sides of a case, and where they differ though they must not."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.locustfiles.cases import Case
from tools.locustfiles.runs import Outcome, ours, plain


class Sides(NamedTuple):
    """One locustfile, run by plain Locust and by scalelag."""

    plain: Outcome
    ours: Outcome


def both(case: Case, folder: Path, host: str, dashboard: str) -> Sides:
    """Run the case on both sides, each in a folder of its own."""
    for name in ("plain", "ours"):
        (folder / name).mkdir()
    return Sides(plain(case, folder / "plain", host), ours(case, folder / "ours", host, dashboard))


def differences(case: Case, sides: Sides) -> list[str]:
    """Return what is wrong: other counts, an exit code milder than Locust's, or a missing mark.

    An exit code that is stricter than Locust's needs a reason (`why`).
    """
    return [f"{case.kind}: {what}" for what in _differences(case, sides)]


def _differences(case: Case, sides: Sides) -> Iterator[str]:
    for name, side in zip(Sides._fields, sides, strict=True):
        if side.counts != case.expected:
            yield f"{name} counted {side.counts}, and not {case.expected}"
        if side.found != case.marks:
            yield f"{name} left {side.found}, and not {case.marks}"
        if "Traceback" in side.said and not case.expected.exceptions:
            yield f"{name} printed a traceback"
    if sides.plain.exit_code and not sides.ours.exit_code:
        yield f"plain Locust ended with {sides.plain.exit_code}, and scalelag with 0"
    if sides.ours.exit_code and not sides.plain.exit_code and not case.why:
        yield f"plain Locust ended with 0, and scalelag with {sides.ours.exit_code}"
