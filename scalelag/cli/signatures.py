"""Arguments, options and help of every command but `run`.

Apart from what the commands do, so that `--help` loads no analysis, no renderer and no Locust: each
command imports its own module when it is called.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from reports.model.effect import MIN_EFFECT
from reports.model.formats import ComparisonFormat, Details, Format
from scalelag.cli.given import once
from scalelag.cli.run.locust_arguments import RUN_OPTION
from scalelag.options.catalog import default_of, help_of

RunDirectory = Annotated[
    Path, typer.Argument(help="Run directory, such as runs/20261122-174501-demo.")
]
Folder = Annotated[Path, typer.Argument(help="Folder of run directories.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
_RUNS = Path("runs")
_DASHBOARD: str = default_of("dashboard")


def report(
    run: RunDirectory,
    *,
    output_format: Annotated[
        Format, typer.Option("--format", help="Format of the report.", case_sensitive=False)
    ] = Format.TERMINAL,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write. Default for html: RUN/report.html."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            "--gate", help="Condition for passing, instead of the run's own. Can be repeated."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if a gate is inconclusive (exit 5).")
    ] = False,
    capacity_rps: Annotated[
        float | None,
        typer.Option(
            help="Requests per second that one replica serves well, instead of the run's own.",
            min=0.001,
        ),
    ] = None,
    details: Annotated[Details, typer.Option(help=help_of("details"))] = Details.MOVED,
) -> int:
    """Report on a finished or interrupted run, and judge its gates."""
    from scalelag.cli.report import report as command

    return command(
        run,
        output_format,
        output,
        gate or [],
        strict=strict,
        capacity_rps=capacity_rps,
        details=details,
    )


BaseRuns = Annotated[
    list[Path], typer.Argument(help="Run directories, or folders of them, to compare with.")
]
CandidateRuns = Annotated[
    list[Path],
    typer.Option(help="Run directory or folder of the candidate. Can be repeated."),
]
MinEffect = Annotated[
    float, typer.Option(help="Smallest ratio that counts as a difference.", min=1.0)
]
AllowDifferences = Annotated[
    bool,
    typer.Option("--allow-differences", help="Compare runs of other plans and configurations."),
]
FailOnRegression = Annotated[
    bool, typer.Option("--fail-on-regression", help="Exit with 4 if there is a regression.")
]
WithinRun = Annotated[
    bool,
    typer.Option("--within-run", help="Judge one run a side by its steps: chance may decide."),
]
MainMetrics = Annotated[
    list[str] | None,
    typer.Option(help="Metric that makes the verdict. Default: scale_up.total_s. Can be repeated."),
]
FormatOfComparison = Annotated[
    ComparisonFormat,
    typer.Option("--format", help="Format of the comparison.", case_sensitive=False),
]
ComparisonFile = Annotated[
    Path | None, typer.Option(help="File to write. Default for html: comparison.html.")
]


def compare(
    base: BaseRuns,
    *,
    against: CandidateRuns,
    min_effect: MinEffect = MIN_EFFECT,
    allow_differences: AllowDifferences = False,
    fail_on_regression: FailOnRegression = False,
    within_run: WithinRun = False,
    main: MainMetrics = None,
    output_format: FormatOfComparison = ComparisonFormat.TERMINAL,
    output: ComparisonFile = None,
) -> int:
    """Compare the runs of two builds, and name regressions."""
    from scalelag.cli.compare import compare as command

    return command(
        base,
        against,
        output_format,
        output,
        min_effect=min_effect,
        allow_differences=allow_differences,
        fail_on_regression=fail_on_regression,
        within_run=within_run,
        mains=main or (),
    )


OwnPolicy = Annotated[
    str | None, typer.Option(help="Policy of your own that decides: module:function.")
]
Seed = Annotated[int, typer.Option(help="Seed of the repetitions.", min=0)]
FormatOfAnswer = Annotated[
    ComparisonFormat,
    typer.Option("--format", help="Format of the answer.", case_sensitive=False),
]
SloToKeep = Annotated[
    list[str] | None,
    typer.Option(help="Limit on latency to keep, such as p95<200ms. Default: the run's own."),
]
Kept = Annotated[
    list[str] | None,
    typer.Option(help="Setting to leave as it is, such as max_replicas. Can be repeated."),
]
MinSavings = Annotated[
    float | None,
    typer.Option(
        help="Least saving of replica-hours against the run's own settings, in per cent.",
        max=100,
    ),
]
CandidateCount = Annotated[
    int, typer.Option(help="Number of settings that the search tries.", min=1, max=100_000)
]
Confirm = Annotated[
    bool,
    typer.Option("--confirm", help="Make a real run with the first choice, and compare it."),
]
TunedFile = Annotated[
    Path | None,
    typer.Option(help="File for the autoscaling_config of the first choice, as YAML."),
]
TuneAnswer = Annotated[
    Path | None, typer.Option(help="File to write. Default for html: RUN/tune.html.")
]


def tune(
    run: RunDirectory,
    *,
    slo: SloToKeep = None,
    keep: Kept = None,
    min_savings: MinSavings = None,
    candidates: CandidateCount = 200,
    seed: Seed = 1,
    policy: OwnPolicy = None,
    confirm: Confirm = False,
    out: TunedFile = None,
    output_format: FormatOfAnswer = ComparisonFormat.TERMINAL,
    output: TuneAnswer = None,
) -> int:
    """Search autoscaling settings that serve a recorded run better. It simulates the run."""
    from scalelag.cli.tune import TuneOptions
    from scalelag.cli.tune import tune as command

    options = TuneOptions(
        slo=once("--slo", slo),
        keep=tuple(keep or ()),
        min_savings_pct=min_savings,
        candidates=candidates,
        seed=seed,
        policy=policy,
        confirm=confirm,
        out=out,
    )
    return command(run, options, output_format, output)


def runs(folder: Folder = _RUNS, *, as_json: AsJson = False) -> int:
    """List the runs in a folder, oldest first, with their main figures."""
    from scalelag.cli.runs import runs as command

    return command(folder, as_json=as_json)


def trend(
    figure: Annotated[
        str,
        typer.Argument(
            help="[DEPLOYMENT:]METRIC, named as in gates, such as scale_up.total_s.max."
        ),
    ],
    folder: Folder = _RUNS,
    *,
    as_json: AsJson = False,
) -> int:
    """Chart one metric over the runs in a folder."""
    from scalelag.cli.runs import trend as command

    return command(figure, folder, as_json=as_json)


def export(
    run: RunDirectory,
    *,
    parquet: Annotated[Path, typer.Option(help="Parquet file to write.")],
) -> int:
    """Export the requests of a run for other tools."""
    from scalelag.cli.export import export as command

    return command(run, parquet)


def doctor(
    *,
    dashboard: Annotated[str, typer.Option(help="URL of the Ray dashboard.")] = _DASHBOARD,
    host: Annotated[
        str | None, typer.Option(help="URL of the Serve endpoint. Default: it is not checked.")
    ] = None,
    dashboard_header: Annotated[
        list[str] | None,
        typer.Option(
            help='Header "Name: value" for the dashboard. ${VARIABLE} is taken from the environment. '
            "Can be repeated."
        ),
    ] = None,
    dashboard_ca: Annotated[str | None, typer.Option(help=help_of("dashboard_ca"))] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check the dashboard's certificate.")
    ] = False,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the dashboard and the applications.", min=0)
    ] = 0.0,
    take_away: Annotated[
        bool,
        typer.Option(
            "--take-away", help="Undo what killed runs left or changed there, and nothing else."
        ),
    ] = False,
) -> int:
    """Check that a cluster is fit for a run. Say what a killed run left there, or take it away."""
    from scalelag.cli.doctor import doctor as command
    from scalelag.options.request_spec import headers_of

    verify = not insecure and (dashboard_ca or True)
    headers = headers_of(dashboard_header or (), os.environ, "--dashboard-header")
    return command(
        dashboard, host, verify=verify, headers=headers, wait_s=wait, takes_away=take_away
    )


def suite(
    name: Annotated[str | None, typer.Argument(help="Suite to run: see --list.")] = None,
    *,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Run the small size, for one machine.")
    ] = False,
    lists: Annotated[bool, typer.Option("--list", help="List the suites.")] = False,
    run_option: Annotated[
        list[str] | None,
        typer.Option(RUN_OPTION, help="Argument of scalelag run. All others are for it, too."),
    ] = None,
) -> int:
    """Run one of Ray's own scaling tests. Options are those of run."""
    from scalelag.cli.main import app
    from scalelag.cli.suite import print_suites, suite_file

    if lists:
        return print_suites()
    file = suite_file(name, smoke=smoke)
    given = ["--name", f"{name}{'-smoke' if smoke else ''}", *(run_option or ())]
    command = typer.main.get_command(app)
    return command.main(["run", "--config", str(file), *given], prog_name="scalelag")
