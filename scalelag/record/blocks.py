"""Walk over the rows of a record in blocks, so that figures on very many take little memory."""

from collections.abc import Iterator

BLOCK = 1 << 17
"""Rows of a block at most: a column of them is a megabyte, which stays in the caches of a core."""


def blocks(end: int, first: int = 0) -> Iterator[slice]:
    """Yield the places of the rows from `first` up to `end`, in order."""
    for at in range(first, end, BLOCK):
        yield slice(at, min(at + BLOCK, end))
