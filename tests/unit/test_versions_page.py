"""docs/versions.md: its tables are those of the stored results, and no cell is blind."""

from pathlib import Path

import msgspec
import pytest

from tests.support.stored_runs import analysed
from tools.versions.page import MISSING, Check, Row, blind_cells, row_of, tables, with_tables

ROOT = Path(__file__).parents[2]


def test_exact_phases_are_told_from_those_of_polls():
    row = row_of(analysed("demo").report, "demanded")

    assert row.version == "2.60.0"
    assert row.shown["up initialize"] == "exact"
    assert blind_cells(row) == []


def test_a_phase_that_is_missing_without_a_reason_is_blind():
    row = Row("2.44.1", "-", {"up decide": "exact", "up route": MISSING}, ())

    assert blind_cells(row) == ["up route"]
    assert blind_cells(msgspec.structs.replace(row, reasons=("up route: no request",))) == []


def test_the_tables_name_each_version_its_reasons_and_its_checks():
    rows = [Row("2.52.1", "demanded", {"up decide": "polls"}, ("logs: no token",))]
    checks = [Check("2.55", "a restart", "2 | 1", right=False)]

    text = tables(rows, checks, "2026-11-29")

    assert "| 2.52.1 | demanded | polls |" in text
    assert "- 2.52.1 (token demanded): logs: no token" in text
    assert "| 2.55 | a restart | 2 / 1 | **no** |" in text


def test_only_the_measured_part_of_the_page_is_replaced():
    page = "a\n<!-- measured -->\nold\n<!-- end of measured -->\nb\n"

    assert with_tables(page, "new") == (
        "a\n<!-- measured -->\n\nnew\n<!-- end of measured -->\nb\n"
    )


@pytest.mark.parametrize("made", ["2.10", "2.60"])
def test_the_page_names_every_version_that_make_versions_runs(made):
    assert made in (ROOT / "Makefile").read_text(encoding="utf-8")
