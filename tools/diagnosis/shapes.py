"""Runs with a front before a model, with a target that swings, and with replicas that stay."""

from typing import Final

from reports.model.causes import Cause
from tools.diagnosis.injection import FAST, STEP, Injection

_MODEL: Final = {f"model.{name}": value for name, value in FAST.items()}
_STEP_AT_S: Final = 4.0


def _front(
    name: str,
    expected: str,
    injected: str,
    steps: str,
    *,
    held_out: bool = False,
    kept: bool = False,
    **arguments: object,
) -> Injection:
    """Return a run in which `expected`, a deployment, is the limit; arguments have `__` for a dot."""
    given = {key.replace("__", "."): value for key, value in arguments.items()}
    return Injection(
        name,
        "bounds",
        injected,
        app="front",
        arguments=_MODEL | given,
        steps=steps,
        step_at_s=_STEP_AT_S,
        limit=expected,
        held_out=held_out,
        kept=kept,
    )


_FRONT, _MODEL_KEY = "default/Front", "default/Model"

FULL_FRONTS: Final = (
    _front(
        "front-full-2",
        _FRONT,
        "one front of 2 requests at once takes 30 of 60 rps",
        "5rps:4s,60rps:12s",
        front__max_ongoing_requests=2,
        front__own_time_s=0.05,
        model__work_ms=3,
        kept=True,
    ),
    _front(
        "front-full-5",
        _FRONT,
        "one front of 5 requests at once takes 23 of 50 rps",
        "5rps:4s,50rps:14s",
        front__max_ongoing_requests=5,
        front__own_time_s=0.2,
        model__work_ms=5,
    ),
    _front(
        "front-full-10",
        _FRONT,
        "one front of 10 requests at once takes 19 of 40 rps",
        "5rps:4s,40rps:16s",
        front__max_ongoing_requests=10,
        front__own_time_s=0.5,
        model__work_ms=10,
    ),
    _front(
        "front-full-3",
        _FRONT,
        "one front of 3 requests at once takes 20 of 35 rps",
        "4rps:4s,35rps:13s",
        front__max_ongoing_requests=3,
        front__own_time_s=0.14,
        model__work_ms=4,
        held_out=True,
    ),
)

FULL_MODELS: Final = (
    _front(
        "model-full-60",
        _MODEL_KEY,
        "a model of 60 ms of CPU time has 2 replicas at most, the load needs 3",
        "3rps:4s,45rps:14s",
        model__work_ms=60,
        model__max_replicas=2,
    ),
    _front(
        "model-full-100",
        _MODEL_KEY,
        "a model of 100 ms of CPU time has 2 replicas at most, the load needs 3",
        "2rps:4s,28rps:14s",
        model__work_ms=100,
        model__max_replicas=2,
    ),
    _front(
        "model-full-150",
        _MODEL_KEY,
        "a model of 150 ms of CPU time has 2 replicas at most, the load needs 3",
        "2rps:4s,20rps:14s",
        model__work_ms=150,
        model__max_replicas=2,
    ),
    _front(
        "model-full-80",
        _MODEL_KEY,
        "a model of 80 ms of CPU time has 1 replica at most, the load needs 2",
        "2rps:4s,16rps:14s",
        model__work_ms=80,
        model__max_replicas=1,
        held_out=True,
    ),
)


def _blind(
    name: str, held_up_s: float, steps: str, *, held_out: bool = False, kept: bool = False
) -> Injection:
    return Injection(
        name,
        "state_sync",
        f"each request holds up the event loop of the front for {held_up_s:g} s",
        app="front",
        arguments=_MODEL
        | {
            "front.held_up_s": held_up_s,
            "front.max_ongoing_requests": 1000,
            "front.own_time_s": 0,
            "model.work_ms": 5,
        },
        steps=steps,
        step_at_s=_STEP_AT_S,
        held_out=held_out,
        kept=kept,
    )


BLIND: Final = (
    _blind("blind-0.15", 0.15, "2rps:4s,20rps:14s", kept=True),
    _blind("blind-0.3", 0.3, "1rps:4s,12rps:14s"),
    _blind("blind-0.2", 0.2, "1rps:4s,15rps:16s", held_out=True),
)


def _swing(
    name: str,
    injected: str,
    steps: str,
    *,
    arrivals: str = "constant",
    cause: Cause | None = "oscillation",
    **given: object,
) -> Injection:
    """Return a run whose target swings; `given` are settings of its autoscaling or application."""
    held_out, kept = (bool(given.pop(name, False)) for name in ("held_out", "kept"))
    own = {
        key: given.pop(key) for key in ("max_ongoing_requests", "service_time_s") if key in given
    }
    autoscaling = {key: value for key, value in FAST.items() if not key.startswith("graceful")}
    return Injection(
        name,
        cause,
        injected,
        arguments=own,
        deployment={
            "name": "Sleeper",
            "autoscaling_config": autoscaling
            | {"min_replicas": 1, "max_replicas": 8, "downscale_delay_s": 1.0, **given},
        },
        steps=steps,
        options=("--arrivals", arrivals),
        held_out=held_out,
        kept=kept,
    )


SWINGS: Final = (
    _swing(
        "swing-factors-2",
        "upscaling_factor and downscaling_factor are 2",
        STEP.format(hold=20),
        target_ongoing_requests=2,
        upscaling_factor=2.0,
        downscaling_factor=2.0,
        kept=True,
    ),
    _swing(
        "swing-factors-as-advised",
        "",
        STEP.format(hold=20),
        cause=None,
        target_ongoing_requests=2,
        upscaling_factor=1.0,
        downscaling_factor=1.0,
    ),
    _swing(
        "swing-target-above-room",
        "target_ongoing_requests 2, and a replica takes 1: 2 are wanted where 3 are needed",
        "4rps:3s,15rps:60s",
        max_ongoing_requests=1,
        target_ongoing_requests=2,
    ),
    _swing(
        "swing-noise",
        "arrivals at random, and each open request is two replicas for 0.3 s",
        "1rps:3s,6rps:25s",
        arrivals="poisson",
        target_ongoing_requests=0.5,
        look_back_period_s=0.6,
        upscale_delay_s=0.3,
        downscale_delay_s=0.5,
    ),
    _swing(
        "swing-factors-3",
        "upscaling_factor and downscaling_factor are 3",
        "3rps:3s,20rps:24s",
        target_ongoing_requests=1.5,
        upscaling_factor=3.0,
        downscaling_factor=3.0,
        held_out=True,
    ),
)

KEPT: Final = (
    Injection(
        "kept-by-requests-8",
        "kept_replicas",
        "requests of 8 s keep replicas that were stopped",
        arguments={
            "service_time_s": 8,
            "downscale_delay_s": 1,
            "graceful_shutdown_timeout_s": 20,
        },
        steps="1rps:12s,0.25rps:20s",
        step_at_s=12.0,
    ),
    Injection(
        "kept-by-minimum",
        "kept_replicas",
        "min_replicas 2 with nothing open",
        arguments={"min_replicas": 2, "max_replicas": 4, "downscale_delay_s": 1},
        steps="8rps:6s,0.05rps:10s",
        step_at_s=6.0,
        kept=True,
    ),
    Injection(
        "kept-by-requests-5",
        "kept_replicas",
        "requests of 5 s keep replicas that were stopped",
        arguments={
            "service_time_s": 5,
            "downscale_delay_s": 1,
            "graceful_shutdown_timeout_s": 20,
        },
        steps="1.5rps:10s,0.4rps:16s",
        step_at_s=10.0,
        held_out=True,
    ),
)


def _healthy(name: str, steps: str, *, held_out: bool = False, **arguments: object) -> Injection:
    given = {key.replace("__", "."): value for key, value in arguments.items()}
    return Injection(
        name,
        None,
        "",
        app="front",
        arguments=_MODEL | given,
        steps=steps,
        step_at_s=_STEP_AT_S,
        held_out=held_out,
    )


HEALTHY_FRONTS: Final = (
    _healthy("front", "4rps:4s,20rps:14s"),
    _healthy("front-waits", "4rps:4s,25rps:14s", front__own_time_s=0.4, model__work_ms=5),
    _healthy(
        "front-two", "4rps:4s,20rps:14s", front__num_replicas=2, front__max_ongoing_requests=8
    ),
    _healthy(
        "front-scaled", "3rps:4s,15rps:14s", model__work_ms=25, model__target_ongoing_requests=0.4
    ),
    _healthy("front-ramp", "3rps:4s,3..18rps:8s,18rps:8s", model__work_ms=15),
    _healthy("front-slower", "3rps:4s,16rps:14s", front__own_time_s=0.25, held_out=True),
)

SHAPES: Final = (*FULL_FRONTS, *FULL_MODELS, *BLIND, *SWINGS, *KEPT, *HEALTHY_FRONTS)
