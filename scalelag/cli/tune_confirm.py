"""A real run with the settings that a search chose: the same plan, application and target."""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from reports.analysis.analyse import analyse
from reports.analysis.origin import run_origin
from reports.model.tune import TUNE_FIGURES, Confirmation, TuneReport
from reports.render.tune_yaml import tune_yaml
from reports.whatif.answer import measured_steps
from reports.whatif.from_record import watched_as_long, watched_of
from scalelag.cli.whatif import limit_of, within_limit
from scalelag.console import say
from scalelag.errors import EXIT_ERROR, InterruptedRunError, UsageError
from scalelag.record.run_dir import RecordedRun, load_run

_REPLACED = ("--out", "--name", "--autoscaling", "--config")


def check_confirmable(run: RecordedRun) -> None:
    """Raise UsageError if the run cannot be made again with other settings."""
    info = run.info
    command = run_origin(info).command
    if not info.target.embedded and "app" not in info.launched:
        raise UsageError(
            "--confirm: the run tested an application that was there already, and scalelag does not "
            "change it. Deploy the settings (--out FILE), make the run again, and compare."
        )
    if command is None:
        raise UsageError("--confirm: the record does not hold the options that it was made with.")
    if "<secret>" in command or "(not recorded)" in command:
        raise UsageError(
            "--confirm: the run had a secret in its options, which no record holds. Deploy the "
            "settings (--out FILE), or make the run again with --autoscaling FILE."
        )


def again(run: RecordedRun, folder: Path, settings: Path) -> list[str]:
    """Return the arguments that make the run again in `folder`, with the `settings` of a file."""
    words = shlex.split(run_origin(run.info).command or "")[1:]
    ran = run.info.versions.ray
    if run.info.target.embedded and ran is not None and ran != _installed_ray():
        words += ["--ray", ran]
    return [
        *_without_replaced(words),
        *("--out", str(folder), "--name", tuned_name(run), "--autoscaling", str(settings)),
    ]


def tuned_name(run: RecordedRun) -> str:
    """Name of the run with other settings."""
    return f"{run.info.name}-tuned"


def _without_replaced(words: list[str]) -> Iterator[str]:
    left = iter(words)
    for word in left:
        if word in _REPLACED:
            next(left, None)
        else:
            yield word


def _installed_ray() -> str | None:
    try:
        return version("ray")
    except PackageNotFoundError:
        return None


def confirmed(
    report: TuneReport, run: RecordedRun, path: Path, slo: str | None
) -> tuple[TuneReport, int]:
    """Make the real run, and return the report with its figures, and the run's exit code.

    The report stays as it is if the run left no record.
    """
    folder, name = path.absolute().parent, tuned_name(run)
    with tempfile.TemporaryDirectory(prefix="scalelag-") as scratch:
        settings = Path(scratch) / "tuned.yaml"
        settings.write_text(tune_yaml(report), encoding="utf-8")
        before = set(folder.glob(f"*-{name}"))
        say("confirming the first choice by a real run ...")
        words = again(run, folder, settings)
        code = _run_again(words)
    made = sorted(set(folder.glob(f"*-{name}")) - before)
    if not made:
        say(f"--confirm: the run ended with exit code {code} and left no record to compare with")
        return report, code or EXIT_ERROR
    return msgspec.structs.replace(report, confirmed=_measured(report, run, made[-1], slo)), code


def _run_again(words: list[str]) -> int:
    """Run `scalelag` with `words`, and return its exit code; its report goes to standard error.

    A signal that ends this process is passed on, and the run takes down what it set up.
    """
    command = [sys.executable, "-m", "scalelag.cli", *words]
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        try:
            return process.wait()
        except InterruptedRunError:
            process.terminate()
            process.wait()
            raise


def _measured(
    report: TuneReport, predicted_from: RecordedRun, path: Path, slo: str | None
) -> Confirmation:
    """Figures of the run that was made, by the definitions of the prediction, over as long a time."""
    run, key = load_run(path), report.deployment
    watched = watched_of(run, key)
    if watched is None:
        return Confirmation(path.name, dict.fromkeys(TUNE_FIGURES))
    watched = watched_as_long(watched, run.info.zero_s, predicted_from, key)
    report_of_it = analyse(within_limit(run, slo)).report
    whole = measured_steps(run, key, watched, report_of_it, limit_of(slo, run.info)).whole
    return Confirmation(path.name, {name: whole.get(name) for name in TUNE_FIGURES})
