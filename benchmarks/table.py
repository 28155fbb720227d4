"""What all benchmarks share: their options, and a table that goes into docs/benchmarks.md as it is."""

import argparse
import sys
from collections.abc import Sequence
from statistics import median

Cell = str | float | None


def parser(doc: str | None, rounds: int = 5, seconds: int | None = None) -> argparse.ArgumentParser:
    """`--rounds`, and `--seconds` where a default is given; the help is the module's docstring."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    if seconds is not None:
        made.add_argument(
            "--seconds", type=int, default=seconds, help=f"of each run, default {seconds}"
        )
    return made


def progress(text: str) -> None:
    """Show on standard error what has just been measured: a whole table takes minutes."""
    print(text, file=sys.stderr, flush=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a Markdown table with aligned columns; None is a dash."""
    cells = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    # Words to the left, numbers to the right.
    left = [any(isinstance(row[i], str) for row in rows) for i in range(len(head))]
    for number, row in enumerate(cells):
        padded = [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ]
        print("| " + " | ".join(padded) + " |")
        if number == 0:
            rules = [
                "-" * width if is_left else "-" * (width - 1) + ":"
                for width, is_left in zip(widths, left, strict=True)
            ]
            print("| " + " | ".join(rules) + " |")
    sys.stdout.flush()


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return (
        f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
    )


def middle(values: Sequence[float | None]) -> float | None:
    """The median of those that were measured; None where none was."""
    measured = [value for value in values if value is not None]
    return median(measured) if measured else None


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """The median of the ratios of one round each; a round in which one is missing does not count."""
    return middle(
        [
            one / other
            for one, other in zip(ours, theirs, strict=True)
            if one is not None and other is not None
        ]
    )
