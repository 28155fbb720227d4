"""The report of a run that was closed: analysed, written beside the record, printed."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from reports.analysis.analyse import analyse
from reports.model.charts import Analysis
from reports.model.formats import FILES, Details, Format
from reports.model.report import Report
from reports.render.formats import Rendering, render
from reports.render.json_report import render_json
from reports.render.terminal.report import render_terminal
from scalelag.autoscaler.for_diagnosis import replayer
from scalelag.options.release_output import release_output
from scalelag.options.run_options import RunOptions
from scalelag.record.output_file import write_file, write_named
from scalelag.record.run_dir import REPORT_FILE, load_run


class Reporter:
    """Reports on one run after the other."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._unprinted: tuple[Analysis, Path, Details] | None = None

    def report(self, options: RunOptions, path: Path, *, html: bool) -> Report:
        """Analyse the run in `path` and write its reports, the HTML page if asked for or `html`.

        Raises ScalelagError if the record cannot be read, or nothing can be written.
        """
        recorded = load_run(path)
        analysis = analyse(recorded, options.gates, replayer())
        write_file(path / REPORT_FILE, render_json(analysis.report))
        what = Rendering(analysis, str(path), options.strict, options.details)
        formats = {*options.reports, Format.HTML} if html else set(options.reports)
        for output_format in sorted(formats):
            self._write(path / FILES[output_format], what, output_format)
        self._unprinted = (analysis, path, options.details)
        return analysis.report

    def _write(self, file: Path, what: Rendering, output_format: Format) -> None:
        rendered = render(what, output_format)
        write_file(file, rendered)
        wanted = release_output([output_format], self._environ)
        if wanted is not None:
            write_named(wanted, rendered)

    def print_last(self) -> None:
        """Print the last report, once."""
        if self._unprinted is not None:
            analysis, path, details = self._unprinted
            self._unprinted = None
            render_terminal(analysis, Console(), str(path), details)
