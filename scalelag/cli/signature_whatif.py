"""Options and help of `scalelag whatif`: its own, and those of a run that say how a trace is read."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from reports.model.formats import ComparisonFormat
from scalelag.cli.given import given, once
from scalelag.cli.run.signature import with_catalog
from scalelag.cli.signatures import FormatOfAnswer, OwnPolicy
from scalelag.errors import UsageError
from scalelag.options.load_catalog import TRACE_OPTIONS


class ArrivalKind(StrEnum):
    """Spacing of arrivals: `scalelag.plan.stages.Arrivals` as the command line reads it."""

    CONSTANT = "constant"
    POISSON = "poisson"


Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="[APP/DEPLOYMENT:]SETTING=VALUE to simulate with. Can be repeated."),
]
PolicyOfApplication = Annotated[
    bool,
    typer.Option("--policy-of-application", help="The policy decides for all of an application."),
]
OtherSteps = Annotated[
    str | None, typer.Option(help="Load plan to simulate instead of the recorded load.")
]
OtherTrace = Annotated[
    Path | None, typer.Option(help="Trace to simulate instead of the recorded load.")
]
OtherArrivals = Annotated[
    ArrivalKind | None,
    typer.Option(help="Spacing of the arrivals of --steps and --trace. Default: constant."),
]
OtherSlo = Annotated[
    list[str] | None,
    typer.Option(help="Limit for recovered_s, instead of the run's own: p95<200ms."),
]
SeedOfAnswer = Annotated[
    int | None, typer.Option(help="Seed of the repetitions. Default: 1.", min=0)
]
AnswerFile = Annotated[
    Path | None, typer.Option(help="File to write. Default for html: RUN/whatif.html.")
]


RunOrNone = Annotated[
    Path | None,
    typer.Argument(help="Run directory. Not needed with --capacity."),
]
CapacityFile = Annotated[
    Path | None,
    typer.Option(
        "--capacity", help="calibration.json: size the fleet for the --trace, by hour of day."
    ),
]
Days = Annotated[float | None, typer.Option(help="Days of traffic for --capacity. Default: 7.")]


@with_catalog(TRACE_OPTIONS)
def whatif(
    run: RunOrNone = None,
    *,
    assignments: Assignments = None,
    policy: OwnPolicy = None,
    policy_of_application: PolicyOfApplication = False,
    steps: OtherSteps = None,
    trace: OtherTrace = None,
    arrivals: OtherArrivals = None,
    slo: OtherSlo = None,
    seed: SeedOfAnswer = None,
    capacity: CapacityFile = None,
    days: Days = None,
    output_format: FormatOfAnswer = ComparisonFormat.TERMINAL,
    output: AnswerFile = None,
    **values: Any,  # noqa: ANN401  options of the trace, each of its own type
) -> int:
    """Simulate a recorded run with other settings. Ray's own autoscaling policy decides."""
    from scalelag.cli.whatif import OtherLoad, WhatIfOptions
    from scalelag.cli.whatif import whatif as command
    from scalelag.cli.whatif_fleet import FleetOptions, fleet

    of_trace = _of_trace(trace, values)
    if capacity is not None:
        others = given(steps=steps, arrivals=arrivals, policy=policy, slo=slo or None, seed=seed)
        others += given(policy_of_application=policy_of_application)
        sized = FleetOptions(capacity, trace, days, tuple(assignments or ()), others, of_trace)
        return fleet(run, sized, output_format, output)
    if days is not None or run is None:
        said = "whatif needs a run directory, or --capacity with --trace."
        raise UsageError(said if days is None else "--days goes with --capacity.")
    options = WhatIfOptions(
        tuple(assignments or ()),
        policy,
        policy_of_application,
        OtherLoad(steps, trace, None if arrivals is None else arrivals.value, of_trace),
        once("--slo", slo),
        1 if seed is None else seed,
    )
    return command(run, options, output_format, output)


def _of_trace(trace: Path | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a trace that were given. Raises UsageError if there is no trace."""
    found = {name: value for name, value in values.items() if value is not None}
    if found and trace is None:
        raise UsageError(f"{given(**found)[0]} goes with --trace.")
    return found
