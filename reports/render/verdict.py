"""From a report to the exit code that CI acts on."""

from reports.model.report import Report
from scalelag.errors import EXIT_GATE_FAILED, EXIT_INVALID, EXIT_PASSED


def exit_code(report: Report, *, strict: bool) -> int:
    """0 passed, 4 a gate failed, 5 run invalid, or inconclusive under `strict`."""
    if report.verdict == "invalid":
        return EXIT_INVALID
    if report.verdict == "fail":
        return EXIT_GATE_FAILED
    if report.verdict == "inconclusive" and strict:
        return EXIT_INVALID
    return EXIT_PASSED
