"""Comparison of builds, step by step or run by run: is one slower? (docs/metrics.md#comparison).

The verdict is that of the main figures alone (docs/decisions/0007-main-figures.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reports.analysis.comparing.common_steps import UnevenSteps, marked_apart, uneven_steps
from reports.analysis.comparing.doubts import doubts, failing
from reports.analysis.comparing.elastic_speedup import elastic_speedups
from reports.analysis.comparing.exactness import drawn_together, exactness
from reports.analysis.comparing.rank_tests import (
    ALPHA,
    RankedEffect,
    grouped_effect,
    least_grouped_p,
    least_paired_p,
    paired_effect,
)
from reports.analysis.comparing.relabelling import grouped_ps, paired_ps
from reports.analysis.comparing.samples import (
    Sample,
    Samples,
    comparable,
    main_figures,
    middle_of,
    samples_of_runs,
    samples_of_steps,
)
from reports.model.comparison import ComparedFigure, ComparedVerdict, Comparison, Effect, Form
from reports.model.effect import MIN_EFFECT
from reports.model.intervals import Span
from reports.model.report import Report
from scalelag.errors import UsageError
from scalelag.wording import count

FEWEST_PAIRS = 6
FEWEST_RUNS = 4

_GRAVEST_FIRST: tuple[ComparedVerdict, ...] = (
    "regression",
    "cannot be told",
    "not comparable",
    "improvement",
    "no difference shown",
)
_MOST_NAMED = 6


class _TestedFigure(NamedTuple):
    """A figure before it is judged, measured in `n` runs of the smaller side, or pairs of steps.

    A side that does not have it is None. `least_p` is one-sided.
    """

    name: str
    main: bool
    base: Sample | None
    candidate: Sample | None
    n: int = 0
    ranked: RankedEffect | None = None
    least_p: float = 1.0

    @property
    def sides(self) -> tuple[Mapping[str, Span], Mapping[str, Span]]:
        """Values of base and candidate, by run or step."""
        return (
            self.base.values if self.base else {},
            self.candidate.values if self.candidate else {},
        )


class _Rule(NamedTuple):
    """Rules of a verdict, which main figures are only if `gated`."""

    form: Form
    min_effect: float
    gated: bool


def compare(
    base: Mapping[str, Report],
    candidate: Mapping[str, Report],
    *,
    min_effect: float = MIN_EFFECT,
    differences: tuple[str, ...] = (),
    labels: tuple[str, str] = ("base", "candidate"),
    within_run: bool = False,
    mains: Sequence[str] = (),
) -> Comparison:
    """Compare runs, given by name: one with one by their steps, others by runs.

    Larger is worse in all metrics. `mains` are the metrics that make the verdict in place of the
    usual ones. One run with one has a verdict only `within_run`. Raises UsageError for no such metric.
    """
    one_by_one = len(base) == len(candidate) == 1
    form: Form = "steps of two runs" if one_by_one else "runs"
    uneven = UnevenSteps() if one_by_one else uneven_steps(base, candidate)
    sides = comparable(*(_samples(form, side, uneven) for side in (base, candidate)))
    main = _named(mains, sides) if mains else main_figures(*sides)
    rule = _Rule(form, min_effect, gated=within_run or not one_by_one)
    figures = _judged(_tested(form, sides, main), rule)
    verdict, reason = _concluded(figures, rule)
    if fails := failing(verdict, [*base.values()], [*candidate.values()]):
        verdict, reason = "cannot be told", fails
    return Comparison(
        form=form,
        base=tuple(base),
        candidate=tuple(candidate),
        min_effect=min_effect,
        verdict=verdict,
        figures=figures,
        differences=differences,
        evidence=_evidence(rule, len(base), len(candidate)),
        reason=reason,
        base_label=labels[0],
        candidate_label=labels[1],
        elastic_speedup=elastic_speedups(base, candidate),
        warnings=(*doubts(base, candidate), *uneven.told(main, len(base), len(candidate))),
    )


_ONE_A_SIDE = (
    "one run a side cannot tell a slower build from an unlucky run; "
    f"{FEWEST_RUNS} a side can, and --within-run judges by the steps of the two all the same"
)


def _samples(form: Form, side: Mapping[str, Report], uneven: UnevenSteps) -> Samples:
    if form == "runs":
        return marked_apart(samples_of_runs(side, uneven.steps), uneven)
    return samples_of_steps(next(iter(side.values())))


def _fewest(form: Form) -> int:
    return FEWEST_RUNS if form == "runs" else FEWEST_PAIRS


def _reachable(least_p: float) -> bool:
    return _two_sided(least_p) < ALPHA


def _two_sided(one_sided_p: float) -> float:
    return min(1.0, 2 * one_sided_p)


def _named(mains: Sequence[str], sides: Sequence[Samples]) -> frozenset[str]:
    known = sorted({name for side in sides for name in side})
    found: set[str] = set()
    for wanted in mains:
        named = {name for name in known if name == wanted or name.endswith(f":{wanted}")}
        if not named:
            raise UsageError(
                f"--main {wanted}: neither side has it. There are: {', '.join(known) or 'none'}."
            )
        found |= named
    return frozenset(found)


def _tested(form: Form, sides: Sequence[Samples], main: frozenset[str]) -> list[_TestedFigure]:
    """All figures, the main ones first."""
    base, candidate = sides
    names = sorted(dict.fromkeys([*base, *candidate]), key=lambda name: name not in main)
    return [
        _test(form, name, base.get(name), candidate.get(name), main=name in main) for name in names
    ]


def _judged(tested: Sequence[_TestedFigure], rule: _Rule) -> tuple[ComparedFigure, ...]:
    several = [one for one in tested if one.ranked and one.main and rule.gated]
    base, candidate = ([one.sides[side] for one in several] for side in (0, 1))
    ps = (grouped_ps if rule.form == "runs" else paired_ps)(base, candidate)
    adjusted = dict(zip((one.name for one in several), ps, strict=True))
    return tuple(_judge(one, adjusted.get(one.name, 0.0), rule) for one in tested)


def _test(
    form: Form, name: str, base: Sample | None, candidate: Sample | None, *, main: bool
) -> _TestedFigure:
    # Listed, not left out: a build that never began to scale has no lag at all.
    if base is None or candidate is None or base.unlike or candidate.unlike:
        return _TestedFigure(name, main, base, candidate)
    paired = form == "steps of two runs"
    return (_paired if paired else _grouped)(name, base, candidate, main=main)


def _paired(name: str, base: Sample, candidate: Sample, *, main: bool) -> _TestedFigure:
    both = [step for step in base.values if step in candidate.values]
    sides = [[side.values[step] for step in both] for side in (base, candidate)]
    one, other = (
        Sample(dict(zip(both, spans, strict=True)), len(both), _censored(spans)) for spans in sides
    )
    if len(both) < FEWEST_PAIRS:
        return _TestedFigure(name, main, one, other, len(both))
    least_p = least_paired_p(len(both), _censored(sides[0]))
    return _TestedFigure(name, main, one, other, len(both), paired_effect(*sides), least_p)


def _grouped(name: str, base: Sample, candidate: Sample, *, main: bool) -> _TestedFigure:
    sides = [list(side.values.values()) for side in (base, candidate)]
    measured = min(map(len, sides))
    if measured < FEWEST_RUNS:
        return _TestedFigure(name, main, base, candidate, measured)
    least_p = least_grouped_p(len(sides[0]), len(sides[1]), _censored(sides[0]))
    return _TestedFigure(name, main, base, candidate, measured, grouped_effect(*sides), least_p)


def _censored(spans: Iterable[Span]) -> int:
    return sum(span.value is None for span in spans)


def _figure(
    tested: _TestedFigure,
    verdict: ComparedVerdict,
    reason: str | None,
    *,
    effect: Effect | None = None,
    p_adjusted: float | None = None,
    least_p: float | None = None,
) -> ComparedFigure:
    base, candidate = tested.base, tested.candidate
    (one, above), (other, other_above) = middle_of(base), middle_of(candidate)
    return ComparedFigure(
        tested.name,
        verdict,
        main=tested.main,
        base=one,
        candidate=other,
        base_above=above,
        candidate_above=other_above,
        base_censored=base.censored if base else 0,
        candidate_censored=candidate.censored if candidate else 0,
        effect=effect,
        p_adjusted=p_adjusted,
        least_p=least_p,
        reason=reason,
    )


def _judge(tested: _TestedFigure, adjusted: float, rule: _Rule) -> ComparedFigure:
    if tested.base is None or tested.candidate is None:
        missing = "candidate" if tested.candidate is None else "base"
        return _figure(tested, "not comparable", f"not measured in the {missing}")
    if unlike := tested.base.unlike or tested.candidate.unlike:
        return _figure(tested, "not comparable", unlike)
    ranked = tested.ranked
    if ranked is None:
        return _figure(tested, "cannot be told", _unreachable(rule.form, tested))
    p = max(ranked.effect.p, adjusted)
    verdict = _verdict(ranked, p, rule.min_effect, main=tested.main and rule.gated)
    reason = None
    if verdict == "no difference shown" and not _reachable(tested.least_p):
        verdict, reason = "cannot be told", _unreachable(rule.form, tested)
    elif verdict != "no difference shown" and not _outlasts_exactness(tested, ranked, rule):
        verdict, reason = "cannot be told", _less_exact(tested)
    return _figure(
        tested,
        verdict,
        reason,
        effect=ranked.effect,
        p_adjusted=p,
        least_p=_two_sided(tested.least_p),
    )


def _verdict(ranked: RankedEffect, p: float, min_effect: float, *, main: bool) -> ComparedVerdict:
    if p < ALPHA and ranked.lo > 1 and ranked.ratio >= min_effect:
        return "regression" if main else "slower"
    if p < ALPHA and ranked.hi < 1 and ranked.ratio <= 1 / min_effect:
        return "improvement" if main else "faster"
    return "no difference shown"


def _outlasts_exactness(tested: _TestedFigure, ranked: RankedEffect, rule: _Rule) -> bool:
    """Return whether a difference is larger than what one side was measured less exactly."""
    base, candidate = (list(side.values()) for side in tested.sides)
    longer = ranked.ratio > 1
    near = drawn_together(*((base, candidate) if longer else (candidate, base)))
    base, candidate = near if longer else near[::-1]
    effect = (grouped_effect if rule.form == "runs" else paired_effect)(base, candidate)
    left = _verdict(effect, effect.effect.p, rule.min_effect, main=False)
    return left == ("slower" if longer else "faster")


def _less_exact(tested: _TestedFigure) -> str:
    sides = (exactness(list(side.values())) for side in tested.sides)
    base, candidate = (max(one) for one in sides)
    return (
        f"the base was measured to within {base:.2f} s and the candidate to within {candidate:.2f} s, "
        "and the difference is no larger than that"
    )


def _unreachable(form: Form, tested: _TestedFigure) -> str:
    """The reason why not even a ten-fold difference would have been found."""
    n, least = tested.n, _fewest(form)
    censored = tested.base.censored if tested.base else 0
    what = "runs a side" if form == "runs" else "steps"
    if n < least:
        return f"cannot be told with {n} {what}; {least} {what} can"
    one, many = "step of the base was", "steps of the base were"
    return (
        f"cannot be told: {count(censored, one, many)} not over when the hold ended, "
        "and nothing ranks above them; hold the load for longer"
    )


def _concluded(
    figures: Sequence[ComparedFigure], rule: _Rule
) -> tuple[ComparedVerdict, str | None]:
    """The verdict of the whole comparison, and the reason for it."""
    if not rule.gated:
        return "cannot be told", _ONE_A_SIDE
    verdict = _overall(figures)
    return verdict, _reason(verdict, figures)


def _overall(figures: Sequence[ComparedFigure]) -> ComparedVerdict:
    """The gravest verdict of the main figures; "not comparable" if there are none."""
    verdicts = {figure.verdict for figure in figures if figure.main}
    for verdict in _GRAVEST_FIRST:
        if verdict in verdicts:
            return verdict
    return "not comparable"


def _evidence(rule: _Rule, base: int, candidate: int) -> str:
    if rule.form == "steps of two runs":
        return "within-run evidence: steps of one run share what was peculiar to that run"
    least = _two_sided(least_grouped_p(base, candidate))
    return f"{count(base, 'run')} against {candidate}; the smallest p that they can give is {least:.4f}"


def _reason(verdict: ComparedVerdict, figures: Sequence[ComparedFigure]) -> str | None:
    """Why the verdict is none, or what changed beside main figures that show nothing."""
    if verdict in ("cannot be told", "not comparable"):
        reasons = (f"{f.figure}: {f.reason}" for f in figures if f.main and f.verdict == verdict)
        return next(reasons, "there is no main figure")
    if verdict != "no difference shown":
        return None
    changed = [f for f in figures if f.verdict in ("slower", "faster")]
    if not changed:
        return None
    named = ", ".join(f"{f.figure} is {f.verdict}" for f in changed[:_MOST_NAMED])
    more = len(changed) - _MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"the main figures show no difference; {named}{rest}"
