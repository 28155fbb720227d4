"""Findings on the configuration, and warnings: what is said of several deployments is said once."""

from collections.abc import Sequence

from reports.model.report import Report
from scalelag.foreign import sanitized
from scalelag.record.run_info import LintFinding
from scalelag.wording import count

_NAMED = 3
"""Maximum number of deployments that are named; further ones are counted."""


def findings(report: Report) -> list[tuple[str, str]]:
    """Rule and text of each finding, rule by rule."""
    by_rule: dict[str, list[LintFinding]] = {}
    for finding in report.lint:
        by_rule.setdefault(finding.rule, []).append(finding)
    return [(rule, text) for rule, found in by_rule.items() for text in _of_rule(found)]


def _of_rule(found: Sequence[LintFinding]) -> list[str]:
    """Texts of one rule. Those with other numbers are counted beside the first if they are many."""
    by_text: dict[str, list[str]] = {}
    for one in found:
        if one.deployment is not None:
            by_text.setdefault(one.text, []).append(one.deployment)
    alone = [sanitized(one.text) for one in found if one.deployment is None]
    if len(by_text) <= _NAMED:
        return [*alone, *(f"{_who(keys)}: {sanitized(text)}" for text, keys in by_text.items())]
    text, keys = max(by_text.items(), key=lambda one: len(one[1]))
    concerned = sum(map(len, by_text.values()))
    return [
        *alone,
        f"{count(concerned, 'deployment')}, such as {sanitized(keys[0])}: {sanitized(text)}",
    ]


def warnings(report: Report) -> list[str]:
    """All warnings; one that several deployments have in the same words stands once."""
    found: dict[str, list[str]] = {}
    for warning in report.warnings:
        key, text = _split(warning, report)
        found.setdefault(text, []).extend([key] if key else [])
    return [
        f"{_who(keys)}: {sanitized(text)}" if keys else sanitized(text)
        for text, keys in found.items()
    ]


def _split(warning: str, report: Report) -> tuple[str | None, str]:
    """The deployment that a warning begins with, and the rest."""
    key = next((key for key in report.deployments if warning.startswith(f"{key}: ")), None)
    return (None, warning) if key is None else (key, warning.removeprefix(f"{key}: "))


def _who(keys: Sequence[str]) -> str:
    if len(keys) > _NAMED:
        return f"{count(len(keys), 'deployment')}"
    return ", ".join(map(sanitized, keys))
