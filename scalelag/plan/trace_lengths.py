"""Lengths of prompts and answers, and shared prefixes, in the rows of a trace."""

import re
from array import array
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plan.trace_rows import Cell, Rows, whole_numbers

MOST_TOKENS = 2_000_000
"""Maximum tokens of one prompt or answer."""

_NOT_LETTERS = re.compile(r"[^a-z]")
_PROMPT = (
    *("requesttokens", "contexttokens", "inputlength", "inputtokens", "prompttokens"),
    *("promptlength", "inputlen", "promptlen", "numprefilltokens", "isl"),
)
_ANSWER = (
    *("responsetokens", "generatedtokens", "outputlength", "outputtokens", "completiontokens"),
    *("answertokens", "outputlen", "maxtokens", "numdecodetokens", "osl"),
)
_BLOCKS = ("hashids", "blockhashes")
_FINE_BLOCK, _COARSE_BLOCK = 16, 512


class Lengths(msgspec.Struct, frozen=True):
    """Tokens of each request of a trace, in the order of its arrivals.

    `prompt_tokens` and `answer_tokens` are empty if the file does not tell. Request i begins with the
    blocks `blocks[ends[i - 1]:ends[i]]` of `block_tokens` each; requests share blocks of one number.
    """

    prompt_tokens: NDArray[np.int32]
    answer_tokens: NDArray[np.int32]
    blocks: NDArray[np.int64]
    ends: NDArray[np.int64]
    block_tokens: int = _COARSE_BLOCK

    def of_rows(self, rows: NDArray[np.intp]) -> "Lengths":
        """Return the lengths of some of the requests, of one several times if it is named so."""
        begins = np.concatenate(([0], self.ends[:-1])) if self.ends.size else self.ends
        parts = [self.blocks[begins[row] : self.ends[row]] for row in rows] if begins.size else []
        return Lengths(
            self.prompt_tokens[rows] if self.prompt_tokens.size else self.prompt_tokens,
            self.answer_tokens[rows] if self.answer_tokens.size else self.answer_tokens,
            np.concatenate(parts) if parts else self.blocks[:0],
            np.cumsum([part.size for part in parts], dtype=np.int64),
            self.block_tokens,
        )


class LengthColumns:
    """Gathers the lengths of a trace while its rows are read; which columns is told by their names."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        letters = [_NOT_LETTERS.sub("", name.lower()) for name in rows.header]
        self._prompt, self._answer, self._blocks_at = (
            next((letters.index(name) for name in names if name in letters), None)
            for names in (_PROMPT, _ANSWER, _BLOCKS)
        )
        self._prompts, self._answers = array("i"), array("i")
        self._blocks, self._ends = array("q"), array("q")

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that are read."""
        places = (self._prompt, self._answer, self._blocks_at)
        return tuple(self._rows.header[at] for at in places if at is not None)

    def take(self, row: Sequence[Cell]) -> None:
        """Read one row. Raises UsageError for what is no length."""
        for at, values in ((self._prompt, self._prompts), (self._answer, self._answers)):
            if at is not None:
                values.append(self._length(row, at))
        if self._blocks_at is not None:
            blocks = whole_numbers(self._rows.cell(row, self._blocks_at))
            if blocks is None:
                raise self._rows.bad(
                    f"{self._rows.header[self._blocks_at]} is no list of whole numbers"
                )
            self._blocks.extend(blocks)
            self._ends.append(len(self._blocks))

    def _length(self, row: Sequence[Cell], at: int) -> int:
        value = self._rows.number(row, at)
        if value != int(value) or value > MOST_TOKENS:
            raise self._rows.bad(
                f"{self._rows.header[at]} {value!r} is no number of tokens: "
                f"a whole number up to {MOST_TOKENS:,}"
            )
        return int(value)

    def lengths(self) -> Lengths | None:
        """Return the lengths of all rows that were taken; None if the file tells none."""
        if not self.names:
            return None
        prompts = np.frombuffer(self._prompts, np.int32) if self._prompts else np.empty(0, np.int32)
        answers = np.frombuffer(self._answers, np.int32) if self._answers else np.empty(0, np.int32)
        ends = np.array(self._ends, np.int64)
        blocks = np.array(self._blocks, np.int64)
        return Lengths(prompts, answers, blocks, ends, _block_tokens(prompts, ends))


def _block_tokens(prompts: NDArray[np.int32], ends: NDArray[np.int64]) -> int:
    """Tokens of a block: 16 as in Alibaba's traces if that fits every prompt, else Mooncake's 512."""
    if not ends.size or not prompts.size:
        return _COARSE_BLOCK
    counts = np.diff(ends, prepend=0)
    fits = np.abs(counts * _FINE_BLOCK - prompts) <= _FINE_BLOCK
    return _FINE_BLOCK if bool(fits.all()) else _COARSE_BLOCK
