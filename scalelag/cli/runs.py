"""`scalelag runs` and `scalelag trend`: the runs in a folder, side by side."""

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from reports.analysis.comparing.history import trend as trend_of
from reports.model.intervals import Span, Stat
from reports.model.report import Report
from reports.render.json_report import as_json
from reports.render.terminal.history import print_runs, print_trend
from scalelag.errors import EXIT_PASSED, UNREADABLE, UsageError
from scalelag.record.input_file import read_file
from scalelag.record.run_dir import REPORT_FILE, RUN_FILE


def runs(folder: Path, *, as_json: bool) -> int:
    """List the runs in a folder with their verdicts and main figures, oldest first."""
    found = _reports_in(folder)
    if as_json:
        _write_json({path: _main(one) for path, one in found.items()})
    else:
        print_runs(Console(), found)
    return EXIT_PASSED


def trend(figure: str, folder: Path, *, as_json: bool) -> int:
    """Chart one metric over the runs in a folder."""
    points = trend_of(figure, _reports_in(folder))
    if as_json:
        _write_json(points)
    else:
        print_trend(Console(), figure, points)
    return EXIT_PASSED


def _reports_in(folder: Path) -> dict[str, Report | str]:
    """The report of each run by its path within the folder, or why there is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name the one with the run directories (--out).")
    paths = sorted({path.parent for path in folder.glob(f"**/{RUN_FILE}")})
    found = {str(path.relative_to(folder)): _report_of(path) for path in paths}
    return dict(sorted(found.items(), key=lambda item: _started_s(item[1])))


def _started_s(found: Report | str) -> float:
    return found.run.started_s if isinstance(found, Report) else 0.0


def _report_of(path: Path) -> Report | str:
    try:
        return msgspec.json.decode(read_file(path / REPORT_FILE), type=Report)
    except FileNotFoundError:
        return (
            f"it has no {REPORT_FILE}: scalelag report {path} --format json --output ... makes one"
        )
    except OSError as error:
        return f"{REPORT_FILE}: {error.strerror}"
    except UNREADABLE as error:
        return f"{REPORT_FILE} cannot be read: {error}"


def _main(found: Report | str) -> dict[str, object]:
    if isinstance(found, str):
        return {"reason": found}
    return {
        "name": found.run.name,
        "verdict": found.verdict,
        "started_s": found.run.started_s,
        "ray": found.run.versions.ray,
        "duration_s": found.run.duration_s,
        "planned": found.load.planned,
        "error_ratio": found.load.error_ratio,
        "latency_p99_ms": found.load.latency_p99_ms,
        "scale_up_max_s": {k: _max(d.scale_up.total_s) for k, d in found.deployments.items()},
        "scale_down_max_s": {k: _max(d.scale_down.total_s) for k, d in found.deployments.items()},
    }


def _max(stat: Stat | None) -> Span | None:
    return stat.max if stat else None


def _write_json(what: object) -> None:
    sys.stdout.write(as_json(what).decode())
