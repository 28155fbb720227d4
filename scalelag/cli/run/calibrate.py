"""`scalelag run --calibrate`: the rate that one replica serves within a limit on latency."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from probes.dashboard import Dashboard, token_from_environment
from reports.analysis.analyse import analyse
from reports.analysis.calibration import calibration_of, hold_for, judge_stage, next_load
from reports.analysis.gates import NO_DEFAULTS
from reports.analysis.load.slo import Slo
from reports.model.calibration import Calibration, CalibrationStage, StageLoad
from reports.render.terminal.calibration import (
    load_words,
    print_calibration,
    render_json_calibration,
)
from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.targets import Endpoint
from scalelag.cluster.deploy import check_pinned, pin
from scalelag.cluster.preflight import Patience, ready_payload, watched_deployments
from scalelag.console import say
from scalelag.errors import EXIT_GATE_FAILED, EXIT_INVALID, EXIT_PASSED, UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.record.output_file import write_file
from scalelag.record.requests_file import rows_from
from scalelag.record.run_dir import create_run_dir, load_run

CALIBRATION_FILE = "calibration.json"

_WARMUP_S = 2.0
_JUDGED = frozenset({EXIT_PASSED, EXIT_GATE_FAILED, EXIT_INVALID})


def run_calibration(attempt: Attempt, hold_s: float) -> int:
    """Find the rate, print and record it. Returns 4 if there is none, 5 if it stays open.

    Raises UsageError without a limit, or with a mix by stage; TargetError if there is not one fixed
    replica.
    """
    slo = attempt.options.slo
    if slo is None or len(attempt.options.limits) > 1:
        raise UsageError(
            "--calibrate finds the rate that one replica serves within a limit: "
            'give it with --slo, such as --slo "p95<200ms", and no other.'
        )
    mix = attempt.options.schedule.mix
    if mix is not None and mix.is_by_stage:
        raise UsageError(
            "--calibrate makes plans of its own, and mix has weights for the stages of --steps: give "
            "each [[request]] a weight in its place."
        )
    with attempt.target() as endpoint:
        deployments = _one_replica(attempt, endpoint)
        folder = create_run_dir(
            attempt.options.out, f"{attempt.options.name}-calibration", time.time()
        )
        search = _Search(attempt, endpoint, deployments, slo, hold_s, folder)
        code = search.run()
    print_calibration(Console(), search.found, str(folder))
    return _exit_code(search.found) if code is None else code


def _one_replica(attempt: Attempt, endpoint: Endpoint) -> list[str]:
    """Return the deployments with one fixed replica each: ours are pinned, others' must be."""
    token = endpoint.token or token_from_environment(os.environ)
    options = attempt.options
    dashboard = Dashboard(endpoint.dashboard, time.time, token, options.verify, attempt.headers)
    wanted = attempt.options.deployments
    patience = Patience(attempt.wait_s, time.monotonic, time.sleep)
    try:
        if attempt.apps:
            names = [str(app.get("name", "default")) for app in attempt.apps]
            return pin(dashboard, names, wanted, patience)
        payload = patience.retry(lambda: ready_payload(dashboard, wanted))
        return check_pinned(payload, watched_deployments(payload, wanted))
    finally:
        dashboard.close()


class _Search:
    """A series of loads on one target. `found` is the result so far."""

    def __init__(
        self,
        attempt: Attempt,
        endpoint: Endpoint,
        deployments: Sequence[str],
        slo: Slo,
        least_hold_s: float,
        folder: Path,
    ) -> None:
        self.found = calibration_of(slo, deployments, ())
        self._attempt = attempt
        self._endpoint = endpoint
        self._slo = slo
        self._least_hold_s = least_hold_s
        self._folder = folder

    def run(self) -> int | None:
        """Search to the end. Returns the exit code of a stage that left nothing to judge."""
        while (load := next_load(self.found.stages)) is not None:
            hold_s = hold_for(load, self._slo, self._least_hold_s)
            say(f"stage {len(self.found.stages) + 1}: {load_words(load)} for {hold_s:g} s")
            end = self._attempt.load(
                self._endpoint, instead=self._options(load, hold_s), quiet=True
            )
            if end.path is None or end.code not in _JUDGED:
                return end.code if end.code > 0 else EXIT_INVALID
            stage = self._judged(load, hold_s, Path(end.path))
            stages = (*self.found.stages, stage)
            self.found = calibration_of(self._slo, self.found.deployments, stages)
            # After each: a search that is broken off loses no stage that was made.
            write_file(self._folder / CALIBRATION_FILE, render_json_calibration(self.found))
        return None

    def _options(self, load: StageLoad, hold_s: float) -> dict[str, Any]:
        """Options of a stage's run in place of those of the plan that was given, if any was."""
        return {
            "steps": f"{load.level:g}{load.unit}:{self._warmup_s + hold_s:g}s",
            "repeat": None,
            "trace": None,
            **{option.dest: None for option in OPTIONS if option.needs == "trace"},
            "warmup": self._warmup_s,
            "deployment": list(self.found.deployments),
            "drain": 0.0,
            "gate": [NO_DEFAULTS],
            "strict": None,
            "capacity_rps": None,
            "out": str(self._folder),
            "name": f"stage-{len(self.found.stages) + 1}",
        }

    @property
    def _warmup_s(self) -> float:
        return self._attempt.options.warmup_s or _WARMUP_S

    def _judged(self, load: StageLoad, hold_s: float, path: Path) -> CalibrationStage:
        run = load_run(path)
        rows = rows_from(run.requests, run.info.zero_s + run.info.warmup_s)
        record = path.relative_to(self._folder)
        return judge_stage(load, hold_s, analyse(run).report, rows, self._slo, str(record))


def _exit_code(found: Calibration) -> int:
    if not found.complete:
        return EXIT_INVALID
    return EXIT_GATE_FAILED if found.capacity_rps is None else EXIT_PASSED
