"""Shared by all benchmarks: their options, and a Markdown table for benchmarks/results/."""

import argparse
import sys
from collections.abc import Sequence
from statistics import median

Cell = str | float | None


def parser(doc: str | None, rounds: int = 5, seconds: int | None = None) -> argparse.ArgumentParser:
    """Parser of `--rounds`, and `--seconds` if it has a default; its help is the docstring `doc`."""
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
    """Median of the measured values; None if there are none."""
    measured = [value for value in values if value is not None]
    return median(measured) if measured else None


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """Median of the ratios of single rounds, without rounds in which a value is missing."""
    return middle(
        [
            one / other
            for one, other in zip(ours, theirs, strict=True)
            if one is not None and other is not None
        ]
    )
