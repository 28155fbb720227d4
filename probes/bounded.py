"""Bodies of answers as they come, bounded in time: the other side may send slowly, and without end."""

from collections.abc import Callable, Iterator
from typing import Final

import requests

_PIECE_BYTES: Final = 1 << 16


class TooLargeError(requests.RequestException):
    """An answer is larger than any that is wanted."""


def pieces_in_time(
    answer: requests.Response, now: Callable[[], float], within_s: float
) -> Iterator[bytes]:
    """Yield the body piece by piece, each as soon as it is there.

    Time-outs of a connection are for each piece, and one that trickles in never meets them: raises
    requests' ReadTimeout after `within_s` seconds. Errors of the connection are those of urllib3.
    """
    deadline_s = now() + within_s
    while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
        yield piece
        if now() > deadline_s:
            raise requests.exceptions.ReadTimeout(f"not whole within {within_s:g} s")


def body_in_time(
    answer: requests.Response, now: Callable[[], float], within_s: float, most_bytes: int
) -> bytes:
    """Return the whole body, read as `pieces_in_time`. Raises TooLargeError above `most_bytes`."""
    body = bytearray()
    for piece in pieces_in_time(answer, now, within_s):
        body += piece
        if len(body) > most_bytes:
            raise TooLargeError(f"larger than {most_bytes >> 20} MB")
    return bytes(body)
