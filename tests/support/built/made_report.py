"""A report made up for tests that look at its deployments or load steps only."""

from collections.abc import Mapping

from reports.model.load import LoadReport, LoadStepReport
from reports.model.report import ProbeReport, Report, RunSummary
from reports.model.steps import DeploymentReport
from scalelag.record.run_info import Versions


def report_of(
    deployments: Mapping[str, DeploymentReport], load_steps: tuple[LoadStepReport, ...] = ()
) -> Report:
    return Report(
        schema_version=1,
        run=RunSummary(
            "demo", "complete", None, Versions("0", "2", "2", "3"), 0.0, 1.0, 1.0, "1rps:1s", 1,
            "rps", "constant", 1, "", "", embedded=True, workers=1,
        ),
        verdict="pass",
        reasons=(),
        gates=(),
        deployments=dict(deployments),
        load=LoadReport(
            0, 0, 0, 0, 0, None, {}, steps=load_steps,
            # As of a run whose slow requests are all in one step.
            latency_p99_ms=max((one.latency_p99_ms or 0.0 for one in load_steps), default=None),
        ),
        probe=ProbeReport(1, 0, 0.0, 0),
        warnings=(),
        not_measured={},
    )  # fmt: skip
