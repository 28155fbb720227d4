"""Paths and headers that people type: sent as they mean them, or refused before the load."""

import pytest

from scalelag.errors import UsageError
from scalelag.options.catalog import option_of
from scalelag.options.option import parse_option
from scalelag.options.request_spec import filled_headers
from scalelag.options.request_templates import Payloads
from scalelag.users.engine.http_connections import Server


@pytest.mark.parametrize(
    "path",
    [
        "http://h/x",
        "HTTPS://me:s3cret@h",
        "ws://h",
        "localhost:8000/x",
        "127.0.0.1:8000",
        "[::1]:8000/x",
    ],
)
def test_a_path_with_a_server_in_it_is_refused(path):
    with pytest.raises(UsageError, match=r"--path: .* begins after the server.*--host") as caught:
        parse_option(option_of("path"), path)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/http://h/x", "//h/x", "/a?next=http://h:1/x", "/h:80/x", "/{{ u }}"]
)
def test_what_begins_as_a_path_is_one(path):
    assert parse_option(option_of("path"), path) == path


def test_a_fragment_is_refused_since_servers_cut_it_off():
    with pytest.raises(UsageError, match="%23 for #"):
        parse_option(option_of("path"), "/a#b")


@pytest.mark.parametrize("value", ["a#b", "a\tb", "a\x7fb", "a b"])
def test_a_row_that_makes_such_a_path_is_refused(value):
    payloads = Payloads("/{{ v }}", None, ({"v": "good"}, {"v": value}))

    with pytest.raises(UsageError, match=r"--data row 2 makes the path .* urlencode"):
        payloads.check(is_json=False)


@pytest.mark.parametrize(
    ("base", "path", "sent"),
    [
        ("", "/größe?q=ü%20", b"/gr%C3%B6%C3%9Fe?q=%C3%BC%20"),
        ("/ä", "/x", b"/%C3%A4/x"),
        ("", "/a%2Fb?{c}|d", b"/a%2Fb?{c}|d"),
    ],
)
def test_letters_beyond_ascii_are_sent_encoded_and_nothing_else_is_changed(base, path, sent):
    request = Server(f"http://h:1{base}").request("GET", path, {}, None)

    assert request.data.startswith(b"GET " + sent + b" HTTP/1.1\r\n")
    assert request.name == path


def test_the_zone_of_an_address_is_for_this_machine_alone():
    server = Server("http://[fe80::1%25eth0]:8000")

    assert server.address == ("fe80::1%eth0", 8000)
    assert b"\r\nHost: [fe80::1]:8000\r\n" in server.request("GET", "/", {}, None).data


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Content-Length: 5", "set by scalelag"),
        ("transfer-encoding: chunked", "set by scalelag"),
        ("Expect: 100-continue", "set by scalelag"),
        ("X-Tenant: ${my-tenant}", "begins no name of a variable"),
        ("X-Tenant: ${}", "begins no name of a variable"),
    ],
)
@pytest.mark.parametrize("dest", ["header", "dashboard_header"])
def test_a_header_that_would_not_be_sent_as_meant_is_refused(dest, header, why):
    with pytest.raises(UsageError, match=why):
        parse_option(option_of(dest), header)


def test_of_two_headers_of_one_name_none_is_lost_in_silence():
    with pytest.raises(UsageError, match="--header x-a is given twice"):
        filled_headers([("X-A", "1"), ("B", "2"), ("x-a", "3")], {}, "--header")


@pytest.mark.parametrize("address", ["h :1", " h:1", "me@h:1", "h\n:1"])
def test_an_address_has_a_host_alone(address):
    with pytest.raises(UsageError, match="an address reads HOST:PORT"):
        parse_option(option_of("grpc_host"), address)
