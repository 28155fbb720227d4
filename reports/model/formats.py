"""Names of the formats of reports. The renderers stand in reports/render/formats.py."""

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
}
"""Files that `--report` leaves in the run directory; report.json is always there."""
