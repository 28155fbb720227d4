"""User, password, token and headers for the dashboard: sent to it, and to no proxy."""

import html
import json
import re
import time
from base64 import b64encode
from urllib.parse import quote, quote_plus

import pytest

from probes.dashboard import Dashboard, DashboardError
from probes.serve_state import parse_payload
from tests.support.servers.one_answer import listening


@pytest.fixture
def proxy(monkeypatch):
    with listening() as (port, came):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield came


@pytest.mark.parametrize(
    ("user", "token", "headers", "sent"),
    [
        ("", None, {}, {}),
        ("", "t0ken", {}, {"Authorization": "Bearer t0ken"}),
        ("us%40er:p%3Aass@", None, {}, {"Authorization": b"us@er:p:ass"}),
        (
            "me:word@",
            "t0ken",
            {"Cookie": "a=b€"},
            {
                "Authorization": b"me:word",
                "X-Ray-Authorization": "Bearer t0ken",
                "Cookie": "a=b€".encode().decode("latin-1"),
            },
        ),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_all_that_was_given_is_sent_to_the_dashboard_and_nothing_to_a_proxy(
    proxy, host, user, token, headers, sent
):
    expected = {
        name: f"Basic {b64encode(value).decode()}" if isinstance(value, bytes) else value
        for name, value in sent.items()
    }
    with listening() as (port, came):
        client = Dashboard(f"http://{user}{host}:{port}", time.time, token, headers=headers)
        client.get("/api/version")
        client.close()

    assert proxy == []
    (got,) = came
    names = ("Authorization", "X-Ray-Authorization", "Cookie")
    assert {name: got[name] for name in names if name in got} == expected


def test_half_of_a_character_in_an_answer_does_not_make_all_of_it_unreadable():
    status = b'{"applications": {"a": {"message": "no file \\udce9.py", "status": "RUNNING"}}}'
    with listening(status) as (port, _):
        body = Dashboard(f"http://127.0.0.1:{port}", time.time).get("/").body

    assert parse_payload(body).applications["a"].message == "no file \ufffd.py"


def test_an_answer_that_repeats_what_was_sent_is_told_without_it():
    echo = b"no luck with Bearer canary-1 canary-1, canary-2 and " + b64encode(b"me:canary-3")
    with listening(echo, status=500) as (port, _):
        url = f"http://me:canary-3@127.0.0.1:{port}"
        dashboard = Dashboard(url, time.time, token="canary-1", headers={"X-Gate": "canary-2"})
        with pytest.raises(DashboardError, match="no luck with") as refused:
            dashboard.get("/")

    assert "canary" not in str(refused.value)
    assert b64encode(b"me:canary-3").decode() not in str(refused.value)


PASSWORD = "hünt'er \"+<2"


@pytest.mark.parametrize(
    "written",
    [
        PASSWORD,
        quote(PASSWORD),
        quote_plus(PASSWORD),
        json.dumps(PASSWORD),
        json.dumps(PASSWORD, ensure_ascii=False),
        html.escape(PASSWORD),
        repr(PASSWORD),
        f"me:{PASSWORD}",
        quote(f"me:{PASSWORD}", safe=""),
    ],
)
@pytest.mark.parametrize("place", ["user", "token", "header"])
def test_a_secret_that_comes_back_in_other_letters_is_hidden(place, written):
    user = f"me:{quote(PASSWORD, safe='')}@" if place == "user" else ""
    token = PASSWORD if place == "token" else None
    headers = {"X-Gate": f"Key {PASSWORD}"} if place == "header" else {}
    with listening(f"sent: {written}.".encode(), status=500) as (port, _):
        dashboard = Dashboard(f"http://{user}127.0.0.1:{port}", time.time, token, headers=headers)
        with pytest.raises(DashboardError) as refused:
            dashboard.get("/")

    assert re.search(r"sent: [\"']?(me(:|%3A))?\(hidden\)[\"']?\.$", str(refused.value))


@pytest.mark.parametrize("echo", ["a=bc; session=canary-1", "session is canary-1", "canary-1,"])
def test_a_secret_of_a_cookie_is_hidden_alone(echo):
    with listening(echo.encode(), status=500) as (port, _):
        cookies = {"Cookie": "a=bc; session=canary-1; c=d"}
        with pytest.raises(DashboardError, match="hidden") as refused:
            Dashboard(f"http://127.0.0.1:{port}", time.time, headers=cookies).get("/")

    assert "canary" not in str(refused.value)
