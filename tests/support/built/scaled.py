"""Deployments with steps that took as long as one says."""

from collections.abc import Sequence

from reports.model.intervals import Span, longer_than
from reports.model.steps import (
    DeploymentReport,
    Phase,
    Replicas,
    ScaleDown,
    ScaleUp,
    StepReport,
)
from scalelag.plan.stages import Direction


def points(values: Sequence[float | None]) -> list[Span]:
    """Values, None for one that was not over within a hold of 20 s."""
    return [longer_than(20.0) if v is None else Span(v, v, v) for v in values]


def step(
    index: int,
    total: Span | None,
    direction: Direction = "up",
    phases: tuple[Phase, ...] = (),
) -> StepReport:
    return StepReport(
        index=index,
        direction=direction,
        at_s=30.0 * index,
        hold_s=30.0,
        from_level=5.0,
        to_level=40.0,
        unit="rps",
        replicas_before=1,
        replicas_after=4,
        target_before=1,
        target_after=4,
        total_s=total,
        phases=phases,
    )


def deployment_of(up: Sequence[float | None], down: Sequence[float] = ()) -> DeploymentReport:
    steps = [step(i, span) for i, span in enumerate(points(up))]
    steps += [step(100 + i, span, "down") for i, span in enumerate(points(down))]
    return DeploymentReport(None, tuple(steps), ScaleUp(), ScaleDown(), Replicas())
