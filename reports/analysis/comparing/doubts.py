"""Reasons to doubt a comparison: runs that somebody changed, and a candidate that fails."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from reports.model.comparison import ComparedVerdict
from reports.model.report import Report
from scalelag.wording import count

_TOLERATED = 0.01
"""More failed requests than the base, as a share; as in the default gate."""
_FAVOURABLE: tuple[ComparedVerdict, ...] = ("improvement", "no difference shown")
_MOST_TOLD = 3


def doubts(base: Mapping[str, Report], candidate: Mapping[str, Report]) -> tuple[str, ...]:
    """Sentences on runs that measured more than one thing, and on a side without logs.

    The first are those during which what was deployed changed.
    """
    changed = (text for side in (base, candidate) for text in _changed(side))
    return (*changed, *_without_logs(base, candidate))


def _without_logs(base: Mapping[str, Report], candidate: Mapping[str, Report]) -> Iterator[str]:
    """Sentence on runs without log lines, if those of the other side have them."""
    bare = [
        [name for name, report in side.items() if not _has_logs(report)]
        for side in (base, candidate)
    ]
    for name, side, runs, others, other in (
        ("base", base, bare[0], bare[1], candidate),
        ("candidate", candidate, bare[1], bare[0], base),
    ):
        if len(runs) > len(side) / 2 and len(others) <= len(other) / 2:
            yield (
                f"{len(runs)} of {count(len(side), 'run')} of the {name} had no logs: what they show "
                "is by polls, and small differences in phases cannot be told"
            )


def _has_logs(report: Report) -> bool:
    """Return whether logs were read, which have no line on a run in which nothing happened."""
    return bool(report.evidence.log_lines or report.evidence.node_error_s)


def _changed(side: Mapping[str, Report]) -> Iterator[str]:
    for name, report in side.items():
        if report.changes:
            told = [f"{one.kind} at {one.at_s:.1f} s" for one in report.changes]
            more = len(told) - _MOST_TOLD
            listed = ", ".join(told[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
            yield f"{name}: what was deployed changed during the run ({listed})"


def failing(
    verdict: ComparedVerdict, base: Sequence[Report], candidate: Sequence[Report]
) -> str | None:
    """The reason why a favourable verdict means nothing: the candidate fails more requests.

    What fails is quick, and needs no replicas.
    """
    before, after = (
        median([report.load.error_ratio or 0.0 for report in side]) for side in (base, candidate)
    )
    if verdict not in _FAVOURABLE or after - before <= _TOLERATED:
        return None
    return (
        f"{100 * after:.1f} % of the candidate's requests failed, {100 * before:.1f} % of the base's: "
        "what fails is quick and needs no replicas, so its lags and latencies do not count"
    )
