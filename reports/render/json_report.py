"""`report.json`."""

import json

import msgspec

from reports.model.report import Report
from scalelag.foreign import escaped_json
from scalelag.record.run_info import SCHEMA_VERSION


def as_json(what: object) -> bytes:
    """`what` as indented JSON in UTF-8, ending in a newline; figures that are not finite are null.

    What a terminal would obey is escaped: such JSON is printed too.
    """
    return escaped_json(msgspec.json.format(msgspec.json.encode(what), indent=2)) + b"\n"


def render_json(report: Report) -> bytes:
    """`report` as `report.json` has it."""
    return as_json(report)


def report_schema() -> bytes:
    """JSON Schema of `report.json`, as docs/report.schema.json holds it."""
    schema = msgspec.json.schema(Report)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"scalelag report.json, schema_version {SCHEMA_VERSION}",
    }
    return json.dumps(head | schema, indent=2, ensure_ascii=False).encode() + b"\n"
