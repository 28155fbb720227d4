"""Tables made once: as a terminal and as Markdown print them, at any width."""

import io

import pytest
from rich.console import Console

from reports.render.markdown import table as markdown_table
from reports.render.tables.table import Column, Table
from reports.render.terminal.tables import print_table
from reports.render.text import MeasuredText

MADE = Table(
    "Lag",
    (
        Column("step", "words", key=True),
        Column("total"),
        Column("decide", group="of which", part=1),
        Column("create", group="of which", part=1),
        Column("spare", room="wide"),
        Column("replica", "foreign", room="below"),
    ),
    (
        ("1 up", MeasuredText("9.31", "±0.15"), MeasuredText("5.02", "±0.10"), "0.11", "7", "g9a"),
        ("2 up", "> 30.0", "-", "-", "8", "q2w"),
    ),
)


def printed(table: Table, width: int) -> list[str]:
    file = io.StringIO()
    print_table(Console(file=file, width=width, color_system=None), table)
    return file.getvalue().splitlines()


def test_a_table_that_fits_has_every_column_margins_beside_and_groups_above():
    assert printed(MADE, 80) == [
        " Lag",
        "                     of which ─────────",
        " step         total      decide  create  spare  replica",
        " 1 up    9.31 ±0.15  5.02 ±0.10    0.11      7  g9a",
        " 2 up  > 30.0           -             -      8  q2w",
    ]


def test_columns_that_can_be_spared_go_first_and_others_are_listed_below():
    lines = printed(MADE, 44)

    assert "spare" not in " ".join(lines)
    assert lines[-1] == " replica:  1 up g9a  2 up q2w"
    assert any("9.31 ±0.15" in line for line in lines)


def test_then_margins_go_below_the_figures():
    lines = printed(MADE, 34)

    assert any(line.split() == ["1", "up", "9.31", "5.02", "0.11"] for line in lines)
    assert any(line.split() == ["±0.15", "±0.10"] for line in lines)


def test_then_the_table_is_split_and_each_part_names_its_rows():
    lines = printed(MADE, 24)

    assert [line.split()[:2] for line in lines].count(["1", "up"]) == 2


def test_at_last_each_row_is_a_line_of_named_cells():
    text = " ".join(printed(MADE, 14))

    assert "step 1 up" in text
    assert "total 9.31" in text


@pytest.mark.parametrize("width", range(12, 90, 3))
def test_no_line_is_wider_than_the_console(width):
    assert max(map(len, printed(MADE, width))) <= width


@pytest.mark.parametrize(
    "names",
    [
        ("/s/ok/v1/chat/completions m1", "/s/ok/v1/chat/completions m2"),
        ("/a/first/of/them/v1/chat/completions", "/b/first/of/them/v1/chat/completions"),
        # Only their middles differ.
        ("/v1/models/this/of/ours/infer", "/v1/models/that/of/ours/infer"),
    ],
)
def test_names_that_are_cut_stay_apart(names: tuple[str, str]):
    columns = (Column("name", "foreign", key=True), *(Column(f"figure {n}") for n in range(4)))
    table = Table("Requests by name", columns, tuple((name, *"1234") for name in names))

    first, second = printed(table, 80)[2:]

    assert first != second
    assert first.endswith("1         2         3         4")


def test_markdown_escapes_what_is_not_ours_and_marks_verdicts():
    made = Table(
        "Gates",
        (Column("verdict", "badge"), Column("gate", "code"), Column("of", "foreign"), Column("n")),
        (("fail", "a <= 1", "*x*|y", "3"),),
    )

    assert list(markdown_table(made)) == [
        "| verdict | gate | of | n |",
        "| :-- | :-- | :-- | --: |",
        "| ❌ fail | `a <= 1` | \\*x\\*\\|y | 3 |",
        "",
    ]
