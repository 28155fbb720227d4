"""The answer to the question of a run, in one sentence a step: lag, configuration's share, cause."""

from collections.abc import Iterator

from reports.model.report import Report
from reports.model.steps import BLIND_S, DeploymentReport, StepReport
from reports.render.tables.deployments import FEW
from reports.render.tables.lag import idle_steps, needs_nothing, no_cause
from reports.render.text import finding_words, leading_words, listed, seconds, step_title
from scalelag.foreign import sanitized

MOST = 8


def answers(report: Report, most: int = MOST) -> tuple[list[tuple[str, str]], int]:
    """Step and sentence of the first `most` steps that were answered, and the number of others.

    With several deployments the sentence begins with the names of those that it is true of, and steps
    that needed no replica have none. With many of them there are half as many: first those that
    were missed, then those with a cause other than the configuration, the longest of each first.
    """
    several, many = len(report.deployments) > 1, len(report.deployments) > FEW
    steps = [
        (key, step, text)
        for key, deployment in report.deployments.items()
        for step, text in _answered(deployment)
        if not several or step.findings or not needs_nothing(step)
    ]
    if many:
        steps.sort(key=lambda one: _urgency(one[1]), reverse=True)
        most //= 2
    same: dict[tuple[str, str], list[str]] = {}
    for key, step, text in steps:
        same.setdefault((step_title(step), text), []).append(key)
    told = list(same.items())[:most]
    found = [(step, f"{listed(keys)}: {text}" if several else text) for (step, text), keys in told]
    return found, len(steps) - sum(len(keys) for _, keys in told)


def _urgency(step: StepReport) -> tuple[bool, bool, float]:
    is_caused = any(finding.cause != "configured_delay" for finding in step.findings)
    return (
        step.censored or step.total_s is None,
        is_caused,
        step.total_s.lo if step.total_s else 0.0,
    )


def _answered(deployment: DeploymentReport) -> Iterator[tuple[StepReport, str]]:
    idle = idle_steps(deployment.steps)
    for step in deployment.steps:
        if step not in idle:
            yield step, answer(step)


def answer(step: StepReport) -> str:
    """The lag of a step, its configuration's share of it, and the cause of the rest."""
    if step.total_s is None:
        cause = f"; {_cause(step)}" if step.findings else ""
        return f"no lag: {sanitized(step.reason or 'not measured')}{cause}."
    return f"{_followed(step)}{_configured(step)}; {_cause(step)}."


def _followed(step: StepReport) -> str:
    total = step.total_s
    if step.direction == "up":
        last, reached = "the last replica it needed", "RUNNING"
    else:
        last, reached = "the last replica to leave", "gone"
    if step.censored and step.reason and step.reason.startswith("given up"):
        return sanitized(step.reason)
    if total is not None and total.value is None and step.hold_s - total.lo > BLIND_S:
        return f"{last} was not {reached} when last seen, {total.lo:.1f} s after the step"
    if total is None or total.value is None:
        return f"{last} was not {reached} by the end of the hold ({_rounded(step.hold_s)} s)"
    return f"{last} was {reached} after {seconds(total)} s{_short(step)}"


def _short(step: StepReport) -> str:
    """Words on replicas that are missing at the end of a hold that was answered before."""
    serving, target = step.replicas_after, step.target_after
    is_settled = step.settled_s is None or step.settled_s.value is not None
    if is_settled or step.reversals or serving is None or target is None or serving >= target:
        return ""
    return f", and {serving} of {target} were RUNNING at the end of its hold"


def _configured(step: StepReport) -> str:
    total = step.total_s
    if step.floor is None or total is None:
        return ""
    if total.value is not None and total.value < step.floor.configured_s:
        return f", less than the {step.floor.configured_s:.1f} s that your configuration takes"
    backlog_s = step.floor.backlog_s
    waited = f" and {backlog_s:.1f} s its backlog" if backlog_s else ""
    return f", {step.floor.configured_s:.1f} s of it your configuration{waited}"


def _cause(step: StepReport) -> str:
    causes = [finding_words(finding) for finding in step.findings]
    if step.cause is not None:
        leading = next((f for f in step.findings if f.cause == step.cause), None)
        # What the configuration takes is said before, where there is a floor.
        is_told = step.cause == "configured_delay" and step.floor is not None
        known_s = None if leading is None or is_told else leading.seconds
        took = "" if known_s is None else f" ({known_s:.1f} s)"
        return f"cause: {leading_words(step.cause, step.findings)}{took}"
    if causes:
        return f"cause: {' or '.join(causes)}"
    found = [text] if (text := no_cause(step)) else []
    if step.floor is None and step.floor_reason:
        found.append(f"no floor to compare it with: {sanitized(step.floor_reason)}")
    return "; ".join(found) or "nothing else made it late"


def _rounded(seconds_: float) -> str:
    """Whole seconds, and two digits of less than ten."""
    return f"{seconds_:.2g}" if seconds_ < 9.95 else f"{seconds_:.0f}"
