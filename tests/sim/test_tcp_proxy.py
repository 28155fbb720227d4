"""The TCP proxy of tools/diagnosis, before a plain HTTP server that notes what reaches it."""

import socket
import threading
import time

import pytest
import requests

from tests.support.servers.http_echo import running_echo
from tools.diagnosis.tcp_proxy import TcpProxy

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
DEADLINE_S = 10.0


@pytest.fixture
def echo():
    with running_echo() as running:
        yield running


@pytest.fixture
def proxy(echo):
    with TcpProxy("127.0.0.1", int(echo.url.rpartition(":")[2])) as running:
        yield running


@pytest.fixture
def kept(proxy):
    """A keep-alive connection that has had an answer already, before the mode changes."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_S) as connection:
        assert ask(connection).endswith(b"ok")
        yield connection


def ask(connection, request=REQUEST):
    connection.sendall(request)
    return connection.recv(65536)


def new_connection(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_S)


def first_byte(proxy):
    """Bytes that a new connection reads; a reset may come as early as in its making."""
    with new_connection(proxy) as new:
        return new.recv(1)


def paths(echo):
    return [arrival.path for arrival in echo.arrivals()]


def test_many_requests_pass_over_one_connection(echo, proxy):
    with requests.Session() as session:
        answers = [session.post(f"{proxy.url}/{n}", data=f"body {n}").text for n in range(20)]

    assert answers == ["ok"] * 20
    assert [a.body for a in echo.arrivals()] == [f"body {n}" for n in range(20)]


def test_a_delay_makes_answers_late_and_not_requests(echo, proxy, kept):
    proxy.delay(0.5)
    sent_s = time.time()
    ask(kept)
    received_s = time.time()

    came_s = echo.arrivals()[-1].at_s
    assert received_s - came_s >= 0.5
    assert came_s - sent_s < received_s - came_s


def test_a_long_answer_is_late_once_and_not_once_a_chunk(echo, proxy):
    body = "x" * 4_000_000  # 61 chunks of 64 KiB at least
    requests.post(echo.url, data=body, timeout=DEADLINE_S)
    proxy.delay(0.5)

    began_s = time.monotonic()
    answer = requests.get(f"{proxy.url}/echo/log", timeout=DEADLINE_S).content
    took_s = time.monotonic() - began_s

    assert len(answer) > len(body)
    assert 0.5 <= took_s < 61 * 0.5


def test_a_delay_ends_for_connections_that_are_there(proxy, kept):
    proxy.delay(60)
    proxy.forward()

    assert ask(kept).endswith(b"ok")


def test_in_a_black_hole_connections_stay_and_nothing_passes_until_it_ends(echo, proxy, kept):
    proxy.blackhole()
    kept.sendall(b"GET /kept HTTP/1.1\r\n\r\n")
    with new_connection(proxy) as new:
        new.sendall(b"GET /new HTTP/1.1\r\n\r\n")
        for connection in (kept, new):
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        assert paths(echo) == ["/x"]

        proxy.forward()
        for connection in (kept, new):
            connection.settimeout(DEADLINE_S)
            assert connection.recv(65536).endswith(b"ok")

    assert sorted(paths(echo)) == ["/kept", "/new", "/x"]


def test_an_answer_that_is_under_way_vanishes_until_the_black_hole_ends(echo, proxy, kept, until):
    kept.sendall(b"GET /delay/1 HTTP/1.1\r\n\r\n")
    until(lambda: "/delay/1" in paths(echo))
    proxy.blackhole()
    kept.settimeout(1.3)
    with pytest.raises(TimeoutError):
        kept.recv(1)

    proxy.forward()
    kept.settimeout(DEADLINE_S)
    assert kept.recv(65536).endswith(b"ok")


def test_a_reset_breaks_connections_that_are_there_and_new_ones(echo, proxy, kept):
    proxy.reset()

    with pytest.raises(ConnectionResetError):
        kept.recv(1)
    with pytest.raises(ConnectionResetError):
        first_byte(proxy)
    assert paths(echo) == ["/x"]


def test_a_reset_breaks_a_request_that_waits_for_its_answer(echo, proxy, kept, until):
    kept.sendall(b"GET /never HTTP/1.1\r\n\r\n")
    until(lambda: "/never" in paths(echo))
    proxy.reset()

    with pytest.raises(ConnectionResetError):
        kept.recv(1)


def test_who_refuses_breaks_connections_and_comes_back_on_the_same_port(proxy, kept):
    proxy.refuse()

    with pytest.raises(ConnectionResetError):
        kept.recv(1)
    with pytest.raises(ConnectionRefusedError):
        new_connection(proxy)

    proxy.forward()
    with new_connection(proxy) as new:
        assert ask(new).endswith(b"ok")


@pytest.mark.parametrize("mode", ["reset", "refuse", "blackhole", "forward"])
@pytest.mark.parametrize("before", ["reset", "refuse", "blackhole"])
def test_after_any_two_modes_it_forwards_again(proxy, before, mode):
    getattr(proxy, before)()
    getattr(proxy, mode)()
    proxy.forward()

    assert requests.get(proxy.url, timeout=DEADLINE_S).text == "ok"


def test_a_server_that_has_gone_is_told_to_the_client(echo, proxy, kept):
    echo.stop()

    assert kept.recv(1) == b""
    with pytest.raises(ConnectionResetError):
        first_byte(proxy)


def test_a_client_that_only_ends_its_sending_gets_its_whole_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_at_the_end, args=(server,), daemon=True).start()
        with (
            TcpProxy("127.0.0.1", server.getsockname()[1]) as proxy,
            new_connection(proxy) as connection,
        ):
            connection.sendall(b"all of it")
            connection.shutdown(socket.SHUT_WR)

            assert connection.makefile("rb").read() == b"all of it" * 100_000


def answer_at_the_end(server):
    """Take one connection, read until its end, answer, close."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(connection.makefile("rb").read() * 100_000)
