"""Tables and sentences of a search of settings."""

from collections.abc import Iterator, Mapping
from typing import Final

from reports.model.tune import (
    TUNE_FIGURES,
    Candidate,
    TunedSetting,
    TuneFigure,
    TuneReport,
)
from reports.model.whatif import Estimate
from reports.render.tables.table import Cell, Column, Table, estimated_cell, measured_cell
from reports.render.text import NOT_MEASURED
from scalelag.foreign import sanitized
from scalelag.wording import count

FIGURE_NAMES: Final[Mapping[TuneFigure, str]] = {
    "lag_s": "lag s",
    "beyond_slo_s": "beyond SLO s",
    "reversals": "reversals",
    "replica_hours": "replica-hours",
}
_DIGITS: Final[Mapping[TuneFigure, int]] = {
    "lag_s": 1,
    "beyond_slo_s": 0,
    "reversals": 0,
    "replica_hours": 4,
}
_LEAST: Final[Mapping[TuneFigure, float]] = {
    "lag_s": 0.25,
    "beyond_slo_s": 0.75,
    "reversals": 0.4,
    "replica_hours": 0.0,
}
"""Differences that are worth a word."""
_LEAST_SHARE = 0.01
_AS_IN_RUN = "as in the run"


def tune_headline(report: TuneReport) -> str:
    """The search in one line."""
    kept = f", {', '.join(map(sanitized, report.keep))} kept" if report.keep else ""
    saving = (
        f", at least {report.min_savings_pct:g} % of the replica-hours saved"
        if report.min_savings_pct is not None
        else ""
    )
    return f"settings for {sanitized(report.slo)}{kept}{saving}"


def tune_verdict(report: TuneReport) -> str:
    """Verdict of the search: `fail` if nothing was found."""
    if not report.validation.passed:
        return "cannot be told"
    return "pass" if report.found else "fail"


def tune_proof(report: TuneReport) -> str:
    """The validation, and what was searched, in one sentence."""
    area = f"the target curves differ by {report.validation.area_ratio:.1%} of their area"
    if not report.validation.passed:
        return (
            "No search: replayed with its own settings, the run does not come out as it was "
            f"recorded; {area}."
        )
    return (
        f"Replayed with its own settings, the run comes out as it was recorded: {area}. "
        f"{count(len(report.tried), 'different setting')} of {report.candidates:,} candidates were "
        "simulated."
    )


def tune_result(report: TuneReport) -> str:
    """Result of the search in one sentence; empty if nothing was searched."""
    if not report.validation.passed:
        return ""
    if not report.found:
        return (
            "No settings were found that do this"
            f"{' and save as much' if report.min_savings_pct is not None else ''} "
            "better than the run's own in any figure."
        )
    if report.own_is_first:
        return "The run's own settings are the best choice; these trade one figure for another."
    return "The first choice is 1."


def changes_words(candidate: Candidate) -> str:
    """`upscale_delay_s 2 -> 0, min_replicas 1 -> 2`."""
    return ", ".join(_change(one) for one in candidate.settings)


def _change(one: TunedSetting) -> str:
    return f"{sanitized(one.setting)} {_value(one.before)} -> {_value(one.after)}"


def _value(value: object) -> str:
    if value is None:
        return "unset"
    return f"{value:g}" if isinstance(value, int | float) else sanitized(str(value))


def tune_table(report: TuneReport) -> Table:
    """The run's own settings and those found, one row each."""
    columns = (
        Column("", "words", key=True),
        Column("settings", "words", room="wide"),
        *(Column(FIGURE_NAMES[name]) for name in TUNE_FIGURES),
    )
    rows = [("run", _AS_IN_RUN, *_figures(report.own))]
    rows += [
        (str(number), changes_words(one), *_figures(one.figures))
        for number, one in enumerate(report.found, start=1)
    ]
    return Table(
        f"Settings of {sanitized(report.deployment)}",
        columns,
        tuple(rows),
        note=f"All are simulated: the median of {report.repetitions} repetitions, with its 5 % and "
        "95 % quantiles. Lag: the longest total_s of a step up.",
    )


def _figures(figures: Mapping[TuneFigure, Estimate]) -> list[Cell]:
    return [estimated_cell(figures[name].span, _DIGITS[name]) for name in TUNE_FIGURES]


def tune_sentences(report: TuneReport) -> list[tuple[str, str]]:
    """Number and sentence of each of the settings found: what it buys against the run's own."""
    return [
        (
            str(number),
            f"{changes_words(one)}. {_against_own(one, report.own)}. {_bought(one)}".strip(),
        )
        for number, one in enumerate(report.found, start=1)
    ]


def _against_own(one: Candidate, own: Mapping[TuneFigure, Estimate]) -> str:
    """`Lag 4.2 s (was 5.7), 0 s beyond the SLO (was 6), ...`."""
    parts = [
        f"Lag {_was(one, own, 'lag_s', ' s')}",
        _was(one, own, "beyond_slo_s", " s beyond the SLO"),
        _was(one, own, "reversals", " reversals"),
        _hours(one, own),
    ]
    return ", ".join(parts)


def _was(one: Candidate, own: Mapping[TuneFigure, Estimate], name: TuneFigure, unit: str) -> str:
    new, old = (_short(figures[name], name) for figures in (one.figures, own))
    return f"{new}{_singular(new, unit)} ({'as before' if new == old else f'was {old}'})"


def _singular(shown: str, unit: str) -> str:
    return unit.removesuffix("s") if unit == " reversals" and shown == "1" else unit


def _short(estimate: Estimate, name: TuneFigure) -> str:
    span = estimate.span
    if span is None:
        return NOT_MEASURED
    digits = _DIGITS[name]
    return f"> {span.lo:.{digits}f}" if span.value is None else f"{span.value:.{digits}f}"


def _hours(one: Candidate, own: Mapping[TuneFigure, Estimate]) -> str:
    new, old = (figures["replica_hours"].span for figures in (one.figures, own))
    if new is None or old is None or not new.value or not old.value:
        return "replica-hours unknown"
    share = new.value / old.value - 1
    if abs(share) < _LEAST_SHARE:
        return "as many replica-hours"
    return f"{abs(share):.0%} {'more' if share > 0 else 'fewer'} replica-hours".replace("%", " %")


def _bought(one: Candidate) -> str:
    """Gains of each changed setting, with all others kept."""
    if len(one.settings) == 1:
        return ""
    parts = (f"{sanitized(gain.setting)} {_gain_words(gain)}" for gain in one.settings)
    return f"Of these, {'; '.join(parts)}."


def _gain_words(gain: TunedSetting) -> str:
    less = list(_gain_parts(gain, sign=-1))
    more = list(_gain_parts(gain, sign=1))
    if not less and not more:
        return "changes little by itself"
    saves = f"saves {' and '.join(less)}" if less else ""
    costs = f"costs {' and '.join(more)}" if more else ""
    return " and ".join(filter(None, (saves, costs)))


def _gain_parts(gain: TunedSetting, *, sign: int) -> Iterator[str]:
    for name, value in gain.buys.items():
        shown = f"{abs(value):.{_DIGITS[name]}f}"
        if value * sign > _LEAST[name] and float(shown):
            yield {
                "lag_s": f"{shown} s of lag",
                "beyond_slo_s": f"{shown} s beyond the SLO",
                "reversals": count(int(float(shown)), "reversal"),
                "replica_hours": f"{shown} replica-hours",
            }[name]


def confirmation_table(report: TuneReport) -> Table | None:
    """The first choice as predicted and as measured by a real run; None if there was none."""
    found = report.confirmed
    if found is None or not report.found:
        return None
    columns = (Column("", "words", key=True), *(Column(FIGURE_NAMES[n]) for n in TUNE_FIGURES))
    measured = [measured_cell(found.measured.get(name), _DIGITS[name]) for name in TUNE_FIGURES]
    own = [estimated_cell(report.own[name].span, _DIGITS[name]) for name in TUNE_FIGURES]
    rows = (
        ("the run's own, simulated", *own),
        ("first choice, predicted", *_figures(report.found[0].figures)),
        ("first choice, measured", *measured),
    )
    return Table(f"Confirmed by {sanitized(found.run)}", columns, rows)
