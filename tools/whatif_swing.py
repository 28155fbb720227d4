"""The oscillating settings of ray#63279 in small: predicted, replayed, measured, and ended by tune."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from reports.model.formats import ComparisonFormat
from reports.model.whatif import Curve, Curves
from scalelag.cli.tune import TuneOptions, tune
from scalelag.cli.tune_file import tune_of
from scalelag.cli.whatif import WhatIfOptions, ask
from scalelag.record.run_dir import load_run
from tools.whatif_pairs import CALM, SWING, SWING_SLO, Pair

RunOf = Callable[[Pair], Path]
_SETTLED_S = 20.0


def swing_lines(run_of: RunOf, out: Path, *, may_make: bool) -> Iterator[str]:
    """Lines of docs/whatif.md: periods of the swing, and what tune made of it."""
    calm, swinging = run_of(Pair(CALM)), run_of(SWING)
    predicted = ask(load_run(calm), WhatIfOptions(SWING.changes))
    replayed = ask(load_run(swinging), WhatIfOptions())
    yield (
        f"{', '.join(SWING.changes)} on `{CALM.app}` with {CALM.steps}. Period of the target's swing: "
        f"measured {_period(replayed.recorded)}, replayed {_period(replayed.simulated)}, predicted "
        f"from the calm run {_period(predicted.whatif)}.\n"
    )
    output = out / "swing-tune.md"
    options = TuneOptions(slo=SWING_SLO, keep=("max_replicas",), confirm=may_make)
    code = tune(swinging, options, ComparisonFormat.MARKDOWN, output)
    found = tune_of(swinging)
    if found is None or not found.found:
        yield f"\n`scalelag tune` found no settings (exit {code}).\n"
        return
    changes = ", ".join(f"{one.setting} {one.after}" for one in found.found[0].settings)
    reversals = found.found[0].figures["reversals"].span
    told = "-" if reversals is None or reversals.value is None else f"{reversals.value:g}"
    yield (
        f'\nThe first choice of `scalelag tune --slo "{SWING_SLO}"`: {changes}. Reversals: predicted '
        f"{told}"
    )
    measured = found.confirmed.measured.get("reversals") if found.confirmed else None
    yield f", measured {measured.value:g}.\n" if measured and measured.value is not None else ".\n"


def _period(curves: Curves | None) -> str:
    value = period_s(curves.target) if curves is not None else None
    return "none" if value is None else f"{value:.1f} s"


def period_s(target: Curve) -> float | None:
    """Mean time between two upward turns of a target, once the first rise is over; None below two."""
    begun = [
        at_s
        for (_, before), (at_s, after) in pairwise(_moves(target))
        if before < 0 < after and at_s >= _SETTLED_S
    ]
    return (begun[-1] - begun[0]) / (len(begun) - 1) if len(begun) > 1 else None


def _moves(target: Curve) -> list[tuple[float, int]]:
    """Moments of changes, with their direction."""
    changes = zip(target.at_s[1:], pairwise(target.replicas), strict=False)
    return [(at_s, after - before) for at_s, (before, after) in changes if after != before]
