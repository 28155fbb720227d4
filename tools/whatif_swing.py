"""The oscillating settings of ray#63279 in small: predicted, replayed, measured, and ended by tune."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from reports.analysis.elasticity.staircase import Staircase
from reports.model.formats import ComparisonFormat
from reports.model.intervals import Window
from reports.model.whatif import Curve, Curves
from reports.whatif.curves import period_s
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
    value = swing_period_s(curves.target) if curves is not None else None
    return "none" if value is None else f"{value:.1f} s"


def swing_period_s(target: Curve) -> float | None:
    """Period of a target once the first rise is over; None if it does not swing."""
    curve = Staircase(np.array(target.at_s[1:]), np.array(target.replicas))
    return period_s(curve, Window(_SETTLED_S, math.inf))
