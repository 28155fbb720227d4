"""Answers of a dashboard that are far too large, or have no end, cost neither memory nor time."""

import gzip
import itertools
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from probes.dashboard import Dashboard, DashboardError
from scalelag.cluster.preflight import check_endpoint

MB = b"x" * (1 << 20)
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def sending(*answers):
    """Yield (URL, sent): each request gets the next answer, in as many pieces as are taken.

    `sent` has the bytes of each piece, by connection. The last answer goes to later requests, too.
    """
    sent, left = {}, [*answers]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection):
            pieces = sent[connection.getpeername()] = []
            with connection, suppress(OSError):
                while b"\r\n\r\n" in (asked := connection.recv(1 << 16)) and asked:
                    answer = left.pop(0) if len(left) > 1 else left[0]
                    for piece in answer():
                        connection.sendall(piece)
                        pieces.append(len(piece))

        def accept():
            with suppress(OSError):
                while True:
                    connection = server.accept()[0]
                    threading.Thread(target=serve, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", sent
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def endless(head=OK):
    return lambda: itertools.chain([head + b"\r\n"], itertools.repeat(MB))


def bomb():
    body = gzip.compress(bytes(100 << 20))
    yield OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def short():
    yield OK + b"Content-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("answer", [endless(), bomb], ids=["endless", "bomb"])
def test_an_answer_that_is_too_large_is_refused_and_the_next_one_is_read(answer):
    with sending(answer, short) as (url, sent):
        dashboard = Dashboard(url, lambda: 0.0)
        with pytest.raises(DashboardError) as refused:
            dashboard.get("/")
        body = dashboard.get("/").body

    assert refused.value.reason == "an answer of more than 64 MB"
    assert sum(map(sum, sent.values())) < 100 << 20
    assert body == b"{}"


def whole(dashboard):
    dashboard.get("/")


def in_pieces(dashboard):
    with dashboard.stream("/") as pieces:
        list(pieces)


@pytest.mark.parametrize("read", [whole, in_pieces])
def test_an_answer_that_trickles_in_is_given_up(read):
    times_s = itertools.count(0.0, 3.0)

    def trickle():
        yield OK + b"Content-Length: 1000000\r\n\r\n"
        yield from itertools.repeat(b"x", 100_000)

    with sending(trickle) as (url, _):
        dashboard = Dashboard(url, lambda: next(times_s))
        with pytest.raises(DashboardError) as refused:
            read(dashboard)

    assert refused.value.reason == "no answer in time"


def test_of_an_error_without_end_the_beginning_is_told():
    with sending(endless(b"HTTP/1.1 500 Error\r\n")) as (url, _):
        dashboard = Dashboard(url, lambda: 0.0)
        with pytest.raises(DashboardError, match=r"answered 500: x{200}$") as refused:
            dashboard.get("/")

    assert refused.value.status == 500


def test_of_a_redirect_without_end_the_address_is_followed():
    head = b"HTTP/1.1 302 Found\r\nLocation: /there\r\n"
    with sending(endless(head), short) as (url, _):
        body = Dashboard(url, lambda: 0.0).get("/").body

    assert body == b"{}"


def test_a_target_whose_health_has_no_end_answers():
    with sending(endless()) as (url, sent):
        check_endpoint(url)

    assert sum(map(sum, sent.values())) < 100 << 20


def test_a_connection_is_used_for_one_answer_after_another():
    with sending(short) as (url, sent):
        dashboard = Dashboard(url, lambda: 0.0)
        for _ in range(3):
            dashboard.get("/")

    assert [len(pieces) for pieces in sent.values()] == [3]
