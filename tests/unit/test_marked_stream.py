"""Logs as Ray before 2.45 streams them: `1` before each block of 64 KiB, `0` before an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.logs.marked_stream import BLOCK_BYTES, FailedStreamError, without_marks


def streamed(content: bytes) -> bytes:
    """The bytes that the dashboard of Ray 2.44 sends for a file."""
    blocks = (content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES))
    return b"".join(b"1" + block for block in blocks)


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


@given(
    length=st.integers(min_value=0, max_value=3 * BLOCK_BYTES + 5),
    size=st.integers(min_value=500, max_value=2 * BLOCK_BYTES),
)
def test_the_file_comes_back_however_the_network_cut_it(length: int, size: int):
    content = (b"01\n" * (length // 3 + 1))[:length]

    assert b"".join(without_marks(iter(cut(streamed(content), size)))) == content


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_error_is_raised_with_rays_own_text(size: int):
    stream = b"0Closing HTTP stream due to internal server error.\nno such node"

    with pytest.raises(FailedStreamError, match="no such node"):
        list(without_marks(iter(cut(stream, size))))


def test_what_was_read_before_an_error_is_given_out():
    pieces = without_marks(iter([b"1" + b"x" * BLOCK_BYTES, b"0gone"]))

    assert next(pieces) == b"x" * BLOCK_BYTES
    with pytest.raises(FailedStreamError, match="gone"):
        next(pieces)


def test_a_stream_without_marks_is_refused():
    with pytest.raises(FailedStreamError, match=r"2\.45"):
        list(without_marks(iter([b"INFO 2026-11-29"])))
