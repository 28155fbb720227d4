"""Walk over the rows of a record in blocks, so that figures on very many take little memory."""

from collections.abc import Iterator

BLOCK = 1_000_000
"""Rows of a block at most."""


def blocks(end: int, first: int = 0) -> Iterator[slice]:
    """Yield the places of the rows from `first` up to `end`, in order."""
    for at in range(first, end, BLOCK):
        yield slice(at, min(at + BLOCK, end))
