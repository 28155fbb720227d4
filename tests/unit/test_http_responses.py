"""Answers over HTTP: heads in pieces, and what belongs to no answer."""

import pytest
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPResponse

from scalelag.users.engine.http_responses import Response, StreamingResponse

HEAD = (
    b"HTTP/1.1 200 OK\r\nX-Empty:\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\nSet-Cookie: c\r\n\r\n"
)
WHOLE = HEAD + b"abcd"


class Socket:
    """Gives one piece after another, then the end, or an error."""

    def __init__(self, *pieces):
        self._pieces = list(pieces)

    def recv(self, _size):
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


class Pool:
    def __init__(self):
        self.returned, self.released = [], []

    def return_socket(self, sock):
        self.returned.append(sock)

    def release_socket(self, sock):
        self.released.append(sock)


def answered(*pieces, method="GET"):
    """The answer in pieces, and the pool that got its connection."""
    pool = Pool()
    return Response(Socket(*pieces), pool, method), pool


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_headers_are_those_of_the_library_wherever_the_answer_is_cut(cut):
    theirs = HTTPResponse()
    theirs.feed(WHOLE)

    response, pool = answered(WHOLE[:cut], WHOLE[cut:])

    assert (response.status_code, response.read()) == (200, b"abcd")
    assert list(response.info().items()) == list(theirs.info().items())
    assert response.get("set-cookie") == ["a=b", "c"]
    assert (len(pool.returned), len(pool.released)) == (1, 0)


def test_headers_come_byte_by_byte():
    response, _ = answered(*(WHOLE[at : at + 1] for at in range(len(WHOLE))))

    assert response.read() == b"abcd"
    assert response["content-length"] == "4"
    assert response["x-empty"] == ""


def test_what_comes_after_the_chunks_is_no_header_and_its_connection_is_kept():
    chunks = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
    )

    response, pool = answered(chunks)

    assert response.read() == b"ab"
    assert "x-sum" not in response
    assert len(pool.returned) == 1


def test_the_answer_to_head_has_no_body_and_a_body_closes_its_connection():
    (bare, kept), (odd, closed) = answered(HEAD, method="HEAD"), answered(WHOLE, method="HEAD")

    assert (bare.status_code, bare.read()) == (odd.status_code, odd.read()) == (200, b"")
    assert (len(kept.returned), len(closed.released)) == (1, 1)


def test_an_interim_answer_has_headers_of_its_own():
    response, _ = answered(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + WHOLE)

    assert response.status_code == 200
    assert "link" not in response


def test_a_body_without_length_ends_with_its_connection():
    response, pool = answered(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd")

    assert response.read() == b"abcd"
    assert len(pool.released) == 1


@pytest.mark.parametrize(
    ("pieces", "error", "text"),
    [
        ([], HTTPConnectionClosed, "connection closed"),
        ([ConnectionResetError()], HTTPConnectionClosed, "connection closed"),
        ([HEAD[:30]], HTTPParseError, "EOF"),
        ([HEAD[:30], ConnectionResetError()], ConnectionResetError, None),
        ([b"HTTP/1.1 100 C\r\n\r\n"], HTTPParseError, "Incomplete"),
        ([b"\r\n"], HTTPParseError, "closed before"),
        ([b"SSH-2.0-OpenSSH\r\n"], HTTPParseError, None),
    ],
)
def test_a_head_that_does_not_come_is_an_error_and_closes_the_connection(pieces, error, text):
    pool = Pool()

    with pytest.raises(error, match=text):
        Response(Socket(*pieces), pool, "GET")

    assert len(pool.released) == 1


def test_a_body_that_breaks_off_is_an_error_and_closes_the_connection():
    response, pool = answered(HEAD, b"ab")

    with pytest.raises(HTTPParseError, match="Incomplete"):
        response.read()

    assert len(pool.released) == 1


def test_the_pieces_of_a_stream_have_the_time_at_which_they_came():
    pool, times = Pool(), iter(range(10))
    response = StreamingResponse(Socket(HEAD + b"a", b"bc", b"d"), pool, "GET", lambda: next(times))

    assert list(response.pieces()) == [(b"a", 0), (b"bc", 1), (b"d", 2)]
    assert len(pool.returned) == 1


def test_an_answer_that_nobody_reads_closes_its_connection():
    response, pool = answered(HEAD)
    del response

    assert len(pool.released) == 1
