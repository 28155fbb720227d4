"""Proof of a simulation: the run's own settings, replayed (docs/metrics.md#what-if)."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from reports.model.intervals import Span, Window
from reports.model.report import Report
from reports.model.steps import StepReport
from reports.model.whatif import Check, Estimate, FigureName, Validation
from reports.whatif.curves import area_between, period_s
from reports.whatif.from_record import RecordedScenario
from reports.whatif.outcome import Figures, Outcome
from reports.whatif.repeat import estimate

LEAST_S = 1.0
SHARE = 0.15
AREA_RATIO = 0.15
PERIOD_SHARE = 0.25
_CHECKED: tuple[FigureName, ...] = ("decide_s", "total_s", "p95_ms")


class ReplayOutcomes(msgspec.Struct, frozen=True):
    """Repetitions with the run's own settings, at the phase of the pushes that fits the record."""

    phase: float
    outcomes: tuple[Outcome, ...]


def best_phase(
    recorded: RecordedScenario, tried: Mapping[float, Sequence[Outcome]], window: Window
) -> float:
    """The phase of the handle's pushes whose targets are the nearest to the recorded ones.

    A record does not tell when the handle pushes; all later moments hang on it.
    """
    target = recorded.target
    areas = {
        phase: float(np.mean([area_between(target, one.course.target, window) for one in found]))
        for phase, found in tried.items()
    }
    return min(areas, key=lambda phase: areas[phase])


def validated(
    recorded: RecordedScenario,
    steps: Mapping[int, Figures],
    holds: Mapping[int, Window],
    replayed: ReplayOutcomes,
    window: Window,
    report: Report,
) -> Validation:
    """Errors of the replayed run against the recorded figures of each step, by its index.

    If the curves are too far apart and the recorded target swings in a hold, the swings are
    compared: by period, and by the time at each level. Chance decides where in the swing the next
    step comes. Its recorded figure is therefore compared with all repetitions.
    """
    periods = _periods(recorded, replayed, holds)
    alike = [index for index, check in periods.items() if check.within]
    checks = _figures(steps, replayed, after=[index + 1 for index in alike])
    area = _area(recorded, replayed, window)
    if area > AREA_RATIO:
        checks += periods.values()
        area = _area(recorded, replayed, window, [holds[index] for index in alike])
    reasons = [
        f"{check.what}: recorded {_said(check.recorded)}, simulated {_said(check.simulated)}"
        for check in checks
        if check.within is False
    ]
    if area > AREA_RATIO:
        reasons.append(
            f"the area between the two target curves is {area:.0%} of that under the recorded one "
            f"(at most {AREA_RATIO:.0%})"
        )
    return Validation(
        passed=not reasons,
        checks=tuple(checks),
        area_ratio=area,
        push_phase=replayed.phase,
        reasons=tuple(reasons),
        missing=tuple(_missing(recorded, report)) if reasons else (),
    )


def _figures(
    steps: Mapping[int, Figures], replayed: ReplayOutcomes, after: Sequence[int]
) -> list[Check]:
    """Checks of each step; of those `after` a swing the whole range of the repetitions counts."""
    return [
        _check(
            f"step {index} {name}",
            name,
            figures.get(name),
            _of(replayed, index, name),
            in_range=index in after,
        )
        for index, figures in steps.items()
        for name in _CHECKED
    ]


def _area(
    recorded: RecordedScenario,
    replayed: ReplayOutcomes,
    window: Window,
    swings: Sequence[Window] = (),
) -> float:
    target = recorded.target
    courses = [outcome.course.target for outcome in replayed.outcomes]
    return float(np.median([area_between(target, one, window, swings) for one in courses]))


def _periods(
    recorded: RecordedScenario, replayed: ReplayOutcomes, holds: Mapping[int, Window]
) -> dict[int, Check]:
    """Periods of the swing in each hold in which the recorded target swings, by the step's index."""
    found: dict[int, Check] = {}
    for index, hold in holds.items():
        known = period_s(recorded.target, hold)
        if known is None:
            continue
        periods = [period_s(outcome.course.target, hold) for outcome in replayed.outcomes]
        there = [one for one in periods if one is not None]
        what, bound = f"step {index} period_s", PERIOD_SHARE * known
        if 2 * len(there) < len(periods):
            found[index] = Check(what, known, None, None, bound, within=False)
            continue
        middle = float(np.median(there))
        off = middle - known
        found[index] = Check(what, known, middle, off, bound, within=abs(off) <= bound)
    return found


def recorded_figures(step: StepReport) -> Figures:
    """Figures of a recorded step that the lag of its deployment has."""
    decide = next((p for p in step.phases if p.name == "decide" and p.value is not None), None)
    return {
        "decide_s": _span(decide.value) if decide is not None else None,
        "total_s": step.total_s,
        "recovered_s": step.recovered_s,
        "reversals": _span(float(step.reversals)),
    }


def _of(replayed: ReplayOutcomes, index: int, name: FigureName) -> Estimate:
    return estimate([outcome.steps[index][name] for outcome in replayed.outcomes])


def _check(
    what: str, name: FigureName, recorded: Span | None, simulated: Estimate, *, in_range: bool
) -> Check:
    """Compare one figure. A bound holds for totals, also for whether there is one at all.

    `in_range`: it holds from the nearest end of the repetitions' interval, instead of their middle.
    """
    bounded = name == "total_s"
    known = recorded.value if recorded is not None else None
    found = simulated.span.value if simulated.span is not None else None
    if known is None or found is None:
        agree = (recorded is None) == (simulated.span is None) and known == found
        return Check(what, known, found, None, within=agree if bounded else None)
    bound = max(LEAST_S, SHARE * known) if bounded else None
    slack = max(known - recorded.lo, 0.0) if recorded is not None else 0.0
    off = abs(found - known)
    if in_range and simulated.span is not None:
        off = max(simulated.span.lo - known, known - simulated.span.upper, 0.0)
    within = off <= bound + slack if bound is not None else None
    return Check(what, known, found, found - known, bound, within)


def _said(value: float | None) -> str:
    return "none within the hold" if value is None else f"{value:.2f} s"


def _span(value: float | None) -> Span | None:
    return None if value is None else Span(value, value, value)


def _missing(recorded: RecordedScenario, report: Report) -> list[str]:
    """Parts of this record that may make the simulation differ."""
    found: list[str] = []
    run = recorded.run
    if not run.events:
        found.append("the controller's log was not read: decisions are known to a poll only")
    neighbours = [key for key in run.info.target.deployments if key not in run.info.target.watched]
    if neighbours or recorded.scenario.settings.info.is_ingress is False:
        found.append(
            "requests reach the deployment by way of another, which may hold them back: what the "
            "autoscaler saw is not in the record"
        )
    if report.load.saturated_s:
        found.append("the target was saturated for a part of the run")
    if not recorded.scenario.service.varied:
        found.append("the load was too even to tell how service times grow with it")
    return found
