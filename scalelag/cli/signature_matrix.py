"""Options and help of `scalelag matrix`: its own, and those of `scalelag run` that make sense."""

from pathlib import Path
from typing import Annotated, Any

import typer

from reports.model.effect import MIN_EFFECT
from reports.model.formats import ComparisonFormat
from scalelag.cli.run.config_file import Config
from scalelag.cli.run.signature import split, with_options
from scalelag.cli.signatures import (
    ComparisonFile,
    FormatOfComparison,
    MainMetrics,
    MinEffect,
)

Versions = Annotated[
    str,
    typer.Option(
        help='Versions of Ray, separated by commas; "2.60.0 init_time_s=3" has arguments of the '
        "application beside it."
    ),
]
Times = Annotated[
    int, typer.Option(help="Number of runs on each version; a verdict needs 4.", min=1, max=1000)
]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder for all runs; complete ones that are in it are not made again. Default: a new "
        "one in --out."
    ),
]


@with_options("ray", "runs", "host", "web", "calibrate", "calibrate_hold_s")
def matrix(
    *,
    ray: Versions,
    times: Times = 4,
    folder: Folder = None,
    min_effect: MinEffect = MIN_EFFECT,
    main: MainMetrics = None,
    output_format: FormatOfComparison = ComparisonFormat.TERMINAL,
    output: ComparisonFile = None,
    config: Config = None,  # noqa: ARG001  its callback has made it the other options' defaults
    **values: Any,  # noqa: ANN401  options of `scalelag run`, each of its own type
) -> int:
    """Run one plan on several versions of Ray, and name regressions.

    Each version is compared with the one before it.
    """
    from scalelag.cli.matrix import MatrixOptions
    from scalelag.cli.matrix import matrix as command

    options = MatrixOptions(
        ray=ray, times=times, folder=folder, min_effect=min_effect, mains=tuple(main or ())
    )
    return command(options, *split(values), output_format, output)
