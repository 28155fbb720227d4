"""Commands that try the advice of a report by simulation, each with what it is for."""

from collections.abc import Sequence
from typing import Final

from reports.model.report import Report
from reports.model.try_out import on_run
from reports.render.text import finding_words, step_name
from scalelag.foreign import sanitized

TRIES: Final = "Try it by simulation"
_MOST = 6
_MOST_NAMED = 4


def tries(report: Report, record: str) -> list[tuple[str, str]]:
    """Subject and command of each advice that `scalelag whatif` can try; the same one stands once."""
    about: dict[str, list[str]] = {}
    for deployment in report.deployments.values():
        for step in deployment.steps:
            for finding in step.findings:
                if finding.command:
                    words = f"step {step_name(step)} ({finding_words(finding)})"
                    about.setdefault(finding.command, []).append(words)
    for one in report.lint:
        if one.command:
            about.setdefault(one.command, []).append(sanitized(one.rule))
    return [
        (_named(list(dict.fromkeys(names))), sanitized(on_run(command, record)))
        for command, names in list(about.items())[:_MOST]
    ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
