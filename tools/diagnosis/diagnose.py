"""Make the runs of the table of injections, and compare their reports with it.

`python -m tools.diagnosis.diagnose [NAME ...]` prints what was found; without names it makes all runs
and writes results.json and its summary in docs/diagnosis.md. With names, `--store` puts each among the
stored ones when it is made. A run that could not be made is said, and the others go on. With `--keep
FOLDER --judge` no run is made: those that are kept are judged by the rules of now. It exits with 1 if a
cause is wrong, or one is missing.
"""

import argparse
import contextlib
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from probes.dashboard import Dashboard
from reports.model.causes import Cause, Finding
from reports.model.report import Report
from reports.model.steps import StepReport
from scalelag.cli.run.targets import DEPLOY_WAIT_S
from scalelag.cluster.apps import resolve_app
from scalelag.errors import ScalelagError
from tools import scalelag_run
from tools.diagnosis.hooks import Scene
from tools.diagnosis.injection import Injection
from tools.diagnosis.injections import INJECTIONS
from tools.diagnosis.places import Reach, embedded_reach, place
from tools.diagnosis.ray_start import FaultToolError
from tools.diagnosis.results import Results, RunResult, load_results, merged, store_results

RUN_DEADLINE_S: Final = 240.0
# Shares of the time in which some process waited for a CPU.
CALM: Final = 0.25
CROWDED: Final = 0.6
CALM_LOOK_S: Final = 2.0
CALM_DEADLINE_S: Final = 60.0
TRIES: Final = 3
RUNS_A_CLUSTER: Final = 12
SHOWN: Final = 2
SAME_STEP_S: Final = 0.5


class Outcome(msgspec.Struct, frozen=True):
    """The report of a run, as a line of the table."""

    injection: Injection
    path: Path
    report: Report
    said: str

    def steps(self) -> list[StepReport]:
        """Of every deployment, those that come when the fault does; all of a healthy run."""
        every = [step for d in self.report.deployments.values() for step in d.steps]
        if self.injection.cause is None:
            return every
        return [s for s in every if abs(s.at_s - self.injection.step_at_s) < SAME_STEP_S]

    @property
    def found(self) -> set[str]:
        """Causes that the report names, for the steps and for failed requests."""
        named = [(one.cause, one.findings) for one in (*self.steps(), *self.report.failures)]
        unnamed = {"unclear" for cause, findings in named if findings and cause is None}
        unexplained = {"unexplained" for f in self.report.failures if not f.findings}
        return {str(cause) for cause, _ in named if cause} | unnamed | unexplained

    @property
    def right(self) -> bool:
        """Check that the right cause was named, and no other but the configured delay."""
        expected = self.injection.cause
        others = self.found - {expected, "configured_delay"}
        named = not self.injection.limit or self.limits(expected) == {self.injection.limit}
        return not others and named and (expected is None or expected in self.found)

    def limits(self, cause: Cause | None) -> set[str]:
        """Deployments whose limit the findings of `cause` name."""
        return {
            finding.deployment or key
            for key, deployment in self.report.deployments.items()
            for step in deployment.steps
            for finding in step.findings
            if finding.cause == cause
        }

    def findings(self) -> list[Finding]:
        """Findings, those of the right cause first."""
        every = [f for one in (*self.steps(), *self.report.failures) for f in one.findings]
        return sorted(every, key=lambda f: f.cause != self.injection.cause)


def perform(injection: Injection, shared: Reach, folder: Path) -> Outcome:
    """Make one run, with what goes wrong in it. `folder` is a new one, for all that it leaves."""
    files, out = folder / "files", folder / "runs"
    files.mkdir(parents=True)
    with place(injection, shared) as reach, begun(injection, reach, files, out) as process:
        dashboard = Dashboard(reach.dashboard, time.time, reach.token)
        try:
            scene = Scene(
                process, out, injection.step_at_s, dashboard, files, reach.tcp, reach.nodes
            )
            injection.hook(scene)
            process.wait(RUN_DEADLINE_S)
        finally:
            dashboard.close()
    said = (files / "said.txt").read_text(encoding="utf-8")
    found = scalelag_run.last_report(out)
    if found is None:
        raise RuntimeError(f"{injection.name} left no report:\n{said}")
    return Outcome(injection, *found, said)


@contextlib.contextmanager
def begun(
    injection: Injection, reach: Reach, files: Path, out: Path
) -> Generator[subprocess.Popen[bytes]]:
    """`scalelag run` under way; it has ended afterwards."""
    app = files / "app.yaml"
    app.write_text(yaml.safe_dump({"applications": applications(injection, str(files))}))
    options = ["--app", str(app), "--host", reach.host, "--dashboard", reach.dashboard]
    options += ["--steps", injection.steps, "--drain", "0", "--wait", str(DEPLOY_WAIT_S)]
    options += ["--out", str(out), "--name", injection.name, *injection.options]
    environ = os.environ | {"RAY_AUTH_TOKEN": reach.token, "COLUMNS": "120"}
    with scalelag_run.begun(options, files / "said.txt", environ) as process:
        yield process


def applications(injection: Injection, files: str) -> list[dict[str, Any]]:
    """Applications for `--app` to deploy."""
    arguments = injection.app_arguments(files)
    apps = resolve_app(injection.app, arguments, importable_here=True)
    if injection.deployment:
        apps = [app | {"deployments": [dict(injection.deployment)]} for app in apps]
    return apps


def main() -> int:
    """Make the runs that were named, or all; 1 where a diagnosis was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a run of tools/diagnosis/injections.py"
    )
    parser.add_argument("--keep", type=Path, help="folder for the run directories")
    parser.add_argument("--store", action="store_true", help="keep the results of named runs too")
    parser.add_argument("--judge", action="store_true", help="judge the runs kept, and make none")
    chosen = parser.parse_args()
    if chosen.judge and not chosen.keep:
        parser.error("--judge needs the folder of --keep")
    unknown = set(chosen.names) - {injection.name for injection in INJECTIONS}
    if unknown:
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    wanted = [i for i in INJECTIONS if not chosen.names or i.name in chosen.names]
    with tempfile.TemporaryDirectory(prefix="scalelag-diagnosis-") as scratch:
        outcomes: list[Outcome] = []
        made_by = judged_again if chosen.judge else perform_all
        for outcome in made_by(wanted, chosen.keep or Path(scratch)):
            outcomes.append(outcome)
            show(outcome)
            if chosen.names and chosen.store:
                store_results(merged(load_results(), results_of([outcome])))
    if not chosen.names and len(outcomes) == len(wanted):
        store_results(results_of(outcomes))
    made = {outcome.injection.name for outcome in outcomes}
    wrong = [outcome.injection.name for outcome in outcomes if not outcome.right]
    missing = [injection.name for injection in wanted if injection.name not in made]
    sys.stdout.write(
        f"{len(outcomes)} runs, wrong: {', '.join(wrong) or 'none'}, "
        f"not made: {', '.join(missing) or 'none'}\n"
    )
    return 1 if wrong or missing else 0


def perform_all(wanted: Sequence[Injection], folder: Path) -> Iterator[Outcome]:
    """Outcomes of all runs that could be made.

    Ray's metrics pages keep what each replica that is gone counted: with many of them a reading takes a
    second, and fits into the observer's budget once a minute. So a cluster takes a few runs only.
    """
    for first in range(0, len(wanted), RUNS_A_CLUSTER):
        with embedded_reach() as shared:
            for injection in wanted[first : first + RUNS_A_CLUSTER]:
                try:
                    yield attempt(injection, shared, folder)
                except (ScalelagError, FaultToolError, RuntimeError) as error:
                    sys.stdout.write(f"NOT MADE {injection.name}: {error}\n")


def judged_again(wanted: Sequence[Injection], folder: Path) -> Iterator[Outcome]:
    """Outcomes of the runs in `folder`, of each the last one that was made."""
    for injection in wanted:
        tries = (folder / f"{injection.name}-{number}" for number in range(TRIES, 0, -1))
        for path in tries:
            found = scalelag_run.report_again(path / "runs")
            if found is not None:
                yield Outcome(injection, *found, said="")
                break


def show(outcome: Outcome) -> None:
    """Print what was found, and the report if it was wrong."""
    sys.stdout.write(f"{line_of(result_of(outcome))}\n")
    if not outcome.right:
        sys.stdout.write(f"{outcome.said}\n")
    sys.stdout.flush()


def attempt(injection: Injection, shared: Reach, folder: Path) -> Outcome:
    """Make the run; again, on a calmer machine, if it went wrong on one that had no room for it.

    Cluster and load share this machine with whatever else runs here. A load generator that was too
    late makes the run invalid, and a controller that gets no CPU time stands still like one that
    is stopped: both would be found rightly, and are not what is tried here.
    """
    for number in range(1, TRIES + 1):
        if number > 1:
            wait_for_calm()
        begun_s, waited_s = time.monotonic(), cpu_wait_s()
        outcome = perform(injection, shared, folder / f"{injection.name}-{number}")
        waited_ratio = (cpu_wait_s() - waited_s) / (time.monotonic() - begun_s)
        crowded = waited_ratio > CROWDED or outcome.report.invalid_through == "load"
        if outcome.right or not crowded or number == TRIES:
            break
        sys.stdout.write(f"{injection.name}: the machine was busy with other work; once more\n")
    return outcome


def wait_for_calm() -> None:
    """Wait until other work leaves this machine room, at most for a while."""
    end_s = time.monotonic() + CALM_DEADLINE_S
    while time.monotonic() < end_s:
        before_s = cpu_wait_s()
        time.sleep(CALM_LOOK_S)
        if (cpu_wait_s() - before_s) / CALM_LOOK_S < CALM:
            return


def cpu_wait_s() -> float:
    """For how long, since boot, some process has waited for a CPU; 0 where Linux does not tell."""
    try:
        text = Path("/proc/pressure/cpu").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(text.split("total=")[1].split()[0]) / 1e6


def result_of(outcome: Outcome) -> RunResult:
    """Return the outcome as it is stored."""
    injection = outcome.injection
    finding = next(iter(outcome.findings()), None)
    return RunResult(
        run=injection.name,
        held_out=injection.held_out,
        injected=injection.injected,
        expected=injection.cause,
        found=tuple(sorted(outcome.found)),
        explains_s=round(finding.seconds, 1) if finding and finding.seconds else None,
        evidence=tuple(e.text for e in finding.evidence[:SHOWN]) if finding else (),
        right=outcome.right,
        made_on=dt.datetime.fromtimestamp(outcome.report.run.started_s, dt.UTC).date().isoformat(),
    )


def line_of(result: RunResult) -> str:
    """One line on a run that has just been made."""
    explained = f", {result.explains_s:.1f} s" if result.explains_s else ""
    found = ", ".join(result.found) or "none"
    verdict = "right" if result.right else "WRONG"
    return f"{verdict} {result.run}: expected {result.expected or 'none'}, found {found}{explained}"


def results_of(outcomes: Sequence[Outcome]) -> Results:
    """Return the results of all runs."""
    return Results(
        ray=outcomes[0].report.run.versions.ray or "unknown",
        cores=os.cpu_count() or 0,
        runs=tuple(result_of(outcome) for outcome in outcomes),
    )


if __name__ == "__main__":
    sys.exit(main())
