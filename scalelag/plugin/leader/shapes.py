"""Shape classes of the user's own, each led by a shape of ours, which opens and closes its run."""

from typing import Any

from locust import LoadTestShape
from locust.env import Environment


def lead_own_shapes(environment: Environment) -> None:
    """Put a shape of ours in front of each of the user's own, if the locustfiles have one of ours.

    Without the class picker, the first of the user's own then drives the load.
    """
    known = environment.available_shape_classes or {}
    ours = [shape for shape in known.values() if follows_plan(shape)]
    if not ours:
        return
    chosen: LoadTestShape | None = None
    for name, shape in list(known.items()):
        if not follows_plan(shape):
            led: Any = type(ours[0])()
            led.own, led.runner = shape, environment.runner
            known[name] = led
            chosen = chosen or led
    environment.shape_class = chosen or ours[0]
    environment.shape_class.runner = environment.runner


def follows_plan(shape: LoadTestShape | None) -> bool:
    """Return True if `shape` is one of ours: others are no runs of ours."""
    return bool(getattr(shape, "follows_plan", False))


def own_shape_name(shape: LoadTestShape | None) -> str | None:
    """Return the name of the user's own shape class behind `shape`; None if `--steps` is the plan."""
    own = getattr(shape, "own", None)
    return None if own is None else type(own).__name__
