"""Names of what a report can be asked for. The renderers stand in reports/render/formats.py."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

HTML_FILE = "report.html"


class Format(StrEnum):
    """Format of a report."""

    TERMINAL = "terminal"
    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    JUNIT = "junit"
    CSV = "csv"
    PERF_METRICS = "perf-metrics"


class Details(StrEnum):
    """Deployments of which a report on several shows details: those that `moved`, or `all`.

    Those that failed to follow, or have a finding, count as moved.
    """

    MOVED = "moved"
    ALL = "all"


class ComparisonFormat(StrEnum):
    """Format of a comparison."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


FILES: Final[Mapping[Format, str]] = {
    Format.HTML: HTML_FILE,
    Format.MARKDOWN: "report.md",
    Format.JUNIT: "junit.xml",
    Format.CSV: "steps.csv",
    Format.PERF_METRICS: "perf-metrics.json",
}
"""Files that `--report` leaves in the run directory; report.json is always there."""
