"""Causes of late steps and of failed requests, as every renderer words them."""

import re
from collections.abc import Iterator, Sequence

from reports.model.causes import Cause, Finding
from reports.model.steps import DeploymentReport, StepReport
from reports.render.text import finding_words

# What Ray's logs put before the text, and the colours in its messages.
_LOG_HEAD = re.compile(r"^[A-Z]+ \S+ \S+ \S+ .*? -- ")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def told_of(deployment: DeploymentReport) -> Iterator[StepReport]:
    """Steps with a cause other than their configuration, and late ones without any."""
    for step in deployment.steps:
        others = [finding for finding in step.findings if finding.cause != "configured_delay"]
        if others or (step.evidence and not step.findings):
            yield step


def named(findings: Sequence[Finding], cause: Cause | None, *, timed: bool = True) -> list[str]:
    """`resources (3.8 s), also bounds`; `a or b` where one of them it is; `perhaps a`.

    With seconds only if `timed`.
    """
    texts = [
        f"{finding_words(f)} ({f.seconds:.1f} s)"
        if timed and f.seconds is not None
        else finding_words(f)
        for f in findings
    ]
    if len(texts) == 1 and cause is None:
        return [f"perhaps {texts[0]}"]
    between = ", also" if cause else " or"
    return [f"{text}{between}" for text in texts[:-1]] + texts[-1:]


def quotation(raw: str) -> str:
    """The part of a log line or message that says it: of a traceback, the exception."""
    lines = [line for line in _COLOUR.sub("", raw).splitlines() if line.strip()]
    return _LOG_HEAD.sub("", lines[-1]).strip() if lines else ""
