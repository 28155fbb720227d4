"""Plan of the prompts of a run: what each arrival asks, in each process the same."""

import zlib
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.plan.schedule import picked
from scalelag.plan.trace_lengths import Lengths
from scalelag.prompts.info import SESSION_HEADER
from scalelag.prompts.token_range import TokenRange
from scalelag.prompts.vocabulary import Vocabulary


class TraceRows(msgspec.Struct, frozen=True):
    """Lengths, blocks and turns of the arrivals of a trace, packed for the workers. Make it with `of`.

    `numbers` are their places in the whole trace. Columns that the trace does not tell are empty.
    """

    numbers: bytes
    prompt_tokens: bytes
    answer_tokens: bytes
    blocks: bytes
    ends: bytes
    sessions: bytes
    turns: bytes
    left: bytes
    block_tokens: int

    @classmethod
    def of(cls, lengths: Lengths, size: int, *, with_sessions: bool) -> "TraceRows":
        """Make it from the lengths of all `size` arrivals, repeats included."""
        sessions = lengths.sessions if with_sessions else lengths.sessions[:0]
        turns = turns_of(sessions)
        counts = np.bincount(sessions) if sessions.size else np.empty(0, np.int64)
        return cls(
            _packed(np.arange(size)),
            _packed(lengths.prompt_tokens),
            _packed(lengths.answer_tokens),
            _packed(lengths.blocks),
            _packed(lengths.ends),
            _packed(sessions),
            _packed(turns),
            _packed(counts[sessions] - turns if sessions.size else turns),
            lengths.block_tokens,
        )

    def share(self, index: int, count: int) -> "TraceRows":
        """Rows of the arrivals that process `index` of `count` sends, as `Schedule.share` has them."""
        sessions = unpacked(self.sessions)
        numbers = unpacked(self.numbers)
        rows = picked(sessions if sessions.size else None, numbers.size, index, count)
        ends = unpacked(self.ends)
        whole = Lengths(
            unpacked(self.prompt_tokens).astype(np.int32),
            unpacked(self.answer_tokens).astype(np.int32),
            unpacked(self.blocks),
            ends,
            self.block_tokens,
        ).of_rows(rows)
        return TraceRows(
            _packed(numbers[rows]),
            _packed(whole.prompt_tokens),
            _packed(whole.answer_tokens),
            _packed(whole.blocks),
            _packed(whole.ends),
            _packed(sessions[rows] if sessions.size else sessions),
            _packed(unpacked(self.turns)[rows] if sessions.size else sessions),
            _packed(unpacked(self.left)[rows] if sessions.size else sessions),
            self.block_tokens,
        )


class PromptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts of a run, or of process `index` of `count`. It travels to the workers.

    `prompt` and `answer` are lengths in tokens; None: those of the trace's `rows`, or as the body of
    the options has them. Each prompt begins with `prefix_tokens` of its group, one of `prefix_groups`.
    `sessions` conversations go on at the same time in a plan of rps, each of `turns`; in a plan of
    users each user has one, if `turns` is not 0.
    """

    vocabulary: Vocabulary = Vocabulary()
    seed: int = 1
    prompt: TokenRange | None = None
    answer: TokenRange | None = None
    rows: TraceRows | None = None
    prefix_groups: int = 0
    prefix_tokens: int = 0
    sessions: int = 0
    turns: int = 0
    session_header: str = SESSION_HEADER
    index: int = 0
    count: int = 1

    @property
    def has_sessions(self) -> bool:
        """Return whether requests are turns of conversations."""
        return self.turns > 0 or (self.rows is not None and len(unpacked(self.rows.sessions)) > 0)

    def share(self, index: int, count: int) -> "PromptPlan":
        """Return the plan of process `index` of `count`."""
        rows = self.rows and self.rows.share(index, count)
        return msgspec.structs.replace(self, rows=rows, index=index, count=count)


class Turn(NamedTuple):
    """Place of a request in a conversation: number `turn` of it, from 1."""

    session: int
    turn: int
    is_last: bool


def turns_of(sessions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of each row among those of its session, from 1, in the order of the rows."""
    if not sessions.size:
        return np.empty(0, np.int64)
    order = np.argsort(sessions, kind="stable")
    ordered = sessions[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    sizes = np.diff(np.append(begins, sessions.size))
    turns = np.empty(sessions.size, np.int64)
    turns[order] = np.arange(sessions.size) - np.repeat(begins, sizes) + 1
    return turns


def _packed(values: NDArray[np.int64] | NDArray[np.int32]) -> bytes:
    return zlib.compress(values.astype("<i8").tobytes(), 1)


def unpacked(packed: bytes) -> NDArray[np.int64]:
    """Return whole numbers that were packed for the workers."""
    return np.frombuffer(zlib.decompress(packed), "<i8")
