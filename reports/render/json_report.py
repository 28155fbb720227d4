"""`report.json`."""

import msgspec

from reports.analysis.model import Report


def render_json(report: Report) -> bytes:
    """`report` as indented JSON in UTF-8, ending in a newline; figures that are not finite are null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
