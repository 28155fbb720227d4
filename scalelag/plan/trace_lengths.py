"""Lengths of prompts and answers, shared prefixes, and sessions, in the rows of a trace."""

import re
from array import array
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plan.trace_rows import MOST_TOKENS, Cell, Rows, whole_numbers

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
_SESSION = ("sessionid", "conversationid", "session", "conversation")
_CHAT, _PARENT = "chatid", "parentchatid"
_NO_SESSION = ("", "none", "null", "nan", "-1")
_FINE_BLOCK, _COARSE_BLOCK = 16, 512


def is_length(name: str) -> bool:
    """Return whether a column of this name is read: tokens, blocks or sessions."""
    known = (*_PROMPT, *_ANSWER, *_BLOCKS, *_SESSION, _CHAT, _PARENT)
    return _letters(name) in known


def _letters(name: str) -> str:
    return _NOT_LETTERS.sub("", name.lower())


class Lengths(msgspec.Struct, frozen=True):
    """Tokens of each request of a trace, in the order of its arrivals.

    `prompt_tokens` and `answer_tokens` are empty if the file does not tell. Request i begins with the
    blocks `blocks[ends[i - 1]:ends[i]]` of `block_tokens` each; requests share blocks of one number.
    `sessions` are the numbers of the conversations that they are turns of, empty if there are none.
    """

    prompt_tokens: NDArray[np.int32]
    answer_tokens: NDArray[np.int32]
    blocks: NDArray[np.int64]
    ends: NDArray[np.int64]
    block_tokens: int = _COARSE_BLOCK
    sessions: NDArray[np.int64] = np.empty(0, np.int64)

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
            self.sessions[rows] if self.sessions.size else self.sessions,
        )

    def repeated(self, repeat: int) -> "Lengths":
        """Return the lengths of a trace replayed `repeat` times; each time has sessions of its own."""
        if repeat == 1:
            return self
        size = int(self.sessions.max()) + 1 if self.sessions.size else 0
        return Lengths(
            np.tile(self.prompt_tokens, repeat),
            np.tile(self.answer_tokens, repeat),
            np.tile(self.blocks, repeat),
            np.concatenate([self.ends + k * self.blocks.size for k in range(repeat)]),
            self.block_tokens,
            np.concatenate([self.sessions + k * size for k in range(repeat)]),
        )


class LengthColumns:
    """Lengths of a trace, gathered while its rows are read; columns are found by their names."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        letters = [_letters(name) for name in rows.header]
        self._prompt, self._answer, self._blocks_at = (
            next((letters.index(name) for name in names if name in letters), None)
            for names in (_PROMPT, _ANSWER, _BLOCKS)
        )
        for at in (self._prompt, self._answer, self._blocks_at):
            if at is not None and letters.count(letters[at]) > 1:
                raise rows.wrong(f'two columns are named like "{rows.header[at]}": take one out')
        self._prompts, self._answers = array("i"), array("i")
        self._blocks, self._ends = array("q"), array("q")
        self._sessions = SessionColumns(letters)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that are read."""
        places = (self._prompt, self._answer, self._blocks_at, *self._sessions.places)
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
        self._sessions.take(row)

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
        return Lengths(
            prompts, answers, blocks, ends, _block_tokens(prompts, ends), self._sessions.numbers()
        )


class SessionColumns:
    """Gathers the sessions of a trace: by a column of their names, or by each chat's parent."""

    def __init__(self, letters: Sequence[str]) -> None:
        named = next((letters.index(name) for name in _SESSION if name in letters), None)
        is_tree = named is None and _CHAT in letters and _PARENT in letters
        self._own = letters.index(_CHAT) if is_tree else named
        self._parent = letters.index(_PARENT) if is_tree else None
        self._number_of: dict[str, int] = {}
        self._found = array("q")
        self._count = 0

    @property
    def places(self) -> tuple[int, ...]:
        """Columns that are read."""
        return tuple(at for at in (self._own, self._parent) if at is not None)

    def take(self, row: Sequence[Cell]) -> None:
        """Read one row. One without a name is a session of its own."""
        if self._own is None:
            return
        name, parent = _name(row, self._own), _name(row, self._parent)
        number = self._number_of.get(name if self._parent is None else parent)
        if number is None:
            number, self._count = self._count, self._count + 1
        if name:
            self._number_of[name] = number
        self._found.append(number)

    def numbers(self) -> NDArray[np.int64]:
        """Return the session of each row that was taken; none if the file tells none."""
        return np.array(self._found, np.int64)


def _name(row: Sequence[Cell], at: int | None) -> str:
    """Return the text of a cell; none if it is empty, or names nothing."""
    text = "" if at is None or at >= len(row) or row[at] is None else str(row[at]).strip()
    return "" if text.lower() in _NO_SESSION else text


def _block_tokens(prompts: NDArray[np.int32], ends: NDArray[np.int64]) -> int:
    """Tokens of a block: 16 as in Alibaba's traces if that fits every prompt, else Mooncake's 512."""
    if not ends.size or not prompts.size:
        return _COARSE_BLOCK
    counts = np.diff(ends, prepend=0)
    fits = np.abs(counts * _FINE_BLOCK - prompts) <= _FINE_BLOCK
    return _FINE_BLOCK if bool(fits.all()) else _COARSE_BLOCK
