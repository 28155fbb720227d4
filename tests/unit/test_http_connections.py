"""Connections: whose fault a closing is, and what an early answer does."""

import socket
import threading
from base64 import b64encode
from contextlib import contextmanager

import gevent
import pytest
from geventhttpclient.response import HTTPConnectionClosed

from scalelag.users.engine.http_connections import _LOOKED_AFTER, Connections, Server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DEADLINE_S = 10.0


@contextmanager
def server(serve, family=socket.AF_INET, address="127.0.0.1"):
    """A server in a thread of its own that calls `serve(connection, number)` for each connection."""
    with socket.socket(family) as listening:
        listening.bind((address, 0))
        listening.listen()
        taken = []

        def run():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                taken.append(connection)
                threading.Thread(target=serve, args=(connection, len(taken)), daemon=True).start()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        host = f"[{address}]" if ":" in address else address
        yield f"http://{host}:{listening.getsockname()[1]}", taken
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_S)
        for connection in taken:
            connection.close()


def head_of(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    return data


def status_of(connections, request):
    with gevent.Timeout(DEADLINE_S):
        return connections.answer(request).status_code


@pytest.fixture
def pool():
    opened = []

    def made(url):
        target = Server(url)
        opened.append(Connections(target))
        return opened[-1], target

    yield made
    for connections in opened:
        connections.close()


def test_an_idle_connection_that_the_server_closed_is_not_used_again(pool):
    closed = threading.Event()

    def serve(connection, _number):
        if head_of(connection):
            connection.sendall(OK)
        connection.close()
        closed.set()

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("POST", "/", {}, b"x")
        for _ in range(20):
            closed.clear()
            assert status_of(connections, request) == 200
            assert closed.wait(DEADLINE_S)

    assert len(taken) == 20


def test_idle_connections_that_the_server_closed_are_closed_while_others_are_used(pool):
    """After three at once, one at a time is sent: it is always the last one that is used again."""
    together, chosen = threading.Barrier(3), threading.Event()
    closed = threading.Semaphore(0)
    used = []

    def serve(connection, _number):
        head_of(connection)
        together.wait(DEADLINE_S)
        connection.sendall(OK)
        assert chosen.wait(DEADLINE_S)
        while connection.getpeername() in used and head_of(connection):
            connection.sendall(OK)
        connection.close()
        closed.release()

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("GET", "/", {}, b"")
        gevent.joinall(
            [gevent.spawn(connections.answer, request) for _ in range(3)],
            timeout=DEADLINE_S,
            raise_error=True,
        )
        idle = list(connections._idle)
        used.append(idle[-1].sock.getsockname())
        chosen.set()
        assert closed.acquire(timeout=DEADLINE_S)
        assert closed.acquire(timeout=DEADLINE_S)
        for _ in range(_LOOKED_AFTER):
            assert status_of(connections, request) == 200

    assert [sock.fileno() >= 0 for sock in idle] == [False, False, True]
    assert len(taken) == 3


def test_a_closing_that_crosses_the_request_is_no_failure(pool):
    """The server closes as soon as the second request comes, without reading it: it was idle for it."""

    def serve(connection, number):
        head_of(connection)
        connection.sendall(OK)
        if number == 1:
            connection.recv(1, socket.MSG_PEEK)
            connection.close()
        else:
            head_of(connection)

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("GET", "/", {}, None)
        assert [status_of(connections, request) for _ in range(2)] == [200, 200]

    assert len(taken) == 2


def test_a_closing_of_a_new_connection_is_a_failure_and_is_not_tried_again(pool):
    def serve(connection, _number):
        head_of(connection)
        connection.close()

    with server(serve) as (url, taken):
        connections, target = pool(url)
        with pytest.raises(HTTPConnectionClosed):
            status_of(connections, target.request("GET", "/", {}, None))

    assert len(taken) == 1


def test_an_answer_that_broke_off_is_not_asked_for_again(pool):
    def serve(connection, _number):
        head_of(connection)
        connection.sendall(OK)
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
        connection.close()

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("GET", "/", {}, None)
        assert status_of(connections, request) == 200
        with pytest.raises(Exception, match=r"closed before|Incomplete|EOF|Invalid"):
            status_of(connections, request)

    assert len(taken) == 1


@pytest.mark.parametrize("then", ["closes", "waits"])
def test_an_answer_before_the_body_is_sent_is_read(pool, then):
    too_large = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n"
    over = threading.Event()

    def serve(connection, _number):
        connection.recv(1000)
        connection.sendall(too_large)
        if then == "closes":
            connection.close()
        else:
            over.wait(DEADLINE_S)

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("POST", "/", {}, b"x" * 50_000_000)
        statuses = [status_of(connections, request) for _ in range(3)]
        over.set()

    assert statuses == [413, 413, 413]
    assert len(taken) == 3


def test_a_body_that_is_taken_slowly_is_sent_whole(pool):
    whole = []

    def serve(connection, _number):
        head, _, body = head_of(connection).partition(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        taken = bytearray(body)
        while len(taken) < size:
            taken += connection.recv(10_000)
        whole.append(bytes(taken))
        connection.sendall(OK)

    body = bytes(range(256)) * 20_000
    with server(serve) as (url, _):
        connections, target = pool(url)
        assert status_of(connections, target.request("POST", "/", {}, body)) == 200

    assert whole == [body]


def test_ipv6(pool):
    heads = []

    def serve(connection, _number):
        heads.append(head_of(connection))
        connection.sendall(OK)

    with server(serve, socket.AF_INET6, "::1") as (url, _):
        connections, target = pool(url)
        assert status_of(connections, target.request("GET", "/", {}, None)) == 200

    assert f"Host: {url.removeprefix('http://')}".encode() in heads[0]


@pytest.mark.parametrize(
    ("user", "sent"), [("me:p%40ss@", b"me:p@ss"), ("me@", b"me:"), (":key@", b":key")]
)
def test_user_and_password_of_a_url_are_sent(user, sent):
    request = Server(f"http://{user}127.0.0.1:8000").request("GET", "/", {}, None)

    assert b"Authorization: Basic " + b64encode(sent) in request.data
    assert b"p%40ss" not in request.data


def test_stray_bytes_after_an_answer_are_no_failure_and_close_the_connection(pool):
    def serve(connection, _number):
        while head_of(connection):
            connection.sendall(OK + b"more")

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("GET", "/", {}, None)
        answers = [connections.answer(request) for _ in range(3)]

    assert [(one.status_code, one.content) for one in answers] == [(200, b"ok")] * 3
    assert len(taken) == 3


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints"])
def test_an_interim_answer_keeps_its_connection_until_the_final_one_is_whole(pool, interim):
    """Else another request would be sent on it, and the body would be cut."""
    whole = threading.Event()

    def serve(connection, _number):
        head_of(connection)
        connection.sendall(b"HTTP/1.1 " + interim + b"\r\nX-A: b\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert whole.wait(DEADLINE_S)
        connection.sendall(b"cd")
        head_of(connection)
        connection.sendall(OK)

    with server(serve) as (url, taken):
        connections, target = pool(url)
        request = target.request("GET", "/", {}, None)
        response = connections.open(request)
        whole.set()
        assert (response.status_code, response.read()) == (200, b"abcd")
        assert response.get("x-a") is None
        assert status_of(connections, request) == 200

    assert len(taken) == 1
