"""Bodies of answers as they come, bounded in time: the other side may send slowly, and without end."""

from collections.abc import Callable, Iterator
from typing import Final

import requests

_PIECE_BYTES: Final = 1 << 14
_LARGE_BYTES: Final = 1 << 18  # for what is wanted whole: in small pieces it takes twice the CPU


class TooLargeError(requests.RequestException):
    """An answer is larger than any that is wanted."""


def pieces_in_time(
    answer: requests.Response,
    now: Callable[[], float],
    within_s: float,
    piece_bytes: int = _PIECE_BYTES,
) -> Iterator[bytes]:
    """Yield the body piece by piece, each as soon as it is there.

    Time-outs of a connection are for each piece, and one that trickles in never meets them: raises
    requests' ReadTimeout after `within_s` seconds. Errors of the connection are those of urllib3.
    """
    deadline_s = now() + within_s
    is_encoded = "Content-Encoding" in answer.headers  # to ask for it copies every piece
    while piece := answer.raw.read1(piece_bytes, decode_content=is_encoded):
        yield piece
        if now() > deadline_s:
            raise requests.exceptions.ReadTimeout(f"not whole within {within_s:g} s")


def body_in_time(
    answer: requests.Response, now: Callable[[], float], within_s: float, most_bytes: int
) -> bytes:
    """Return the whole body, read as `pieces_in_time`. Raises TooLargeError above `most_bytes`."""
    pieces: list[bytes] = []
    came = 0
    for piece in pieces_in_time(answer, now, within_s, _LARGE_BYTES):
        pieces.append(piece)
        came += len(piece)
        if came > most_bytes:
            raise TooLargeError(f"larger than {most_bytes >> 20} MB")
    return b"".join(pieces)
