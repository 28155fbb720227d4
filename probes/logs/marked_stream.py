"""Logs as Ray before 2.45 streams them: a byte before each block says whether reading went well.

`1` stands before each block of the file, also in the middle of a line. `0` stands before the text of an
error, which ends the stream; the answer is 200 all the same (`get_logs` in
`ray/dashboard/modules/state/state_head.py`).
"""

from collections.abc import Iterator

from scalelag.errors import TargetError

BLOCK_BYTES = 1 << 16
"""Size of every block but the last (`BLOCK_SIZE` in `ray/dashboard/modules/log/log_agent.py`)."""

_GOOD, _FAILED = b"1", b"0"
_MAX_TEXT = 2000


class FailedStreamError(TargetError):
    """Ray could not read the log; the message is Ray's own."""


def without_marks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of the file alone, however the network cut them.

    Raises FailedStreamError at the mark of an error, or where a mark is missing.
    """
    left = 0
    for piece in pieces:
        at = 0
        while at < len(piece):
            if left == 0:
                _check(piece[at : at + 1], piece[at + 1 :], pieces)
                left, at = BLOCK_BYTES, at + 1
            block = piece[at : at + left]
            if block:
                yield block
            at, left = at + len(block), left - len(block)


def _check(mark: bytes, rest: bytes, pieces: Iterator[bytes]) -> None:
    if mark == _FAILED:
        for piece in pieces:
            rest += piece
            if len(rest) > _MAX_TEXT:
                break
        raise FailedStreamError(rest[:_MAX_TEXT].decode(errors="replace").strip())
    if mark != _GOOD:
        raise FailedStreamError("the stream of the log is not marked as that of Ray before 2.45")
