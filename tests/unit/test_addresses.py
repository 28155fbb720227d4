"""Addresses as they are given: URLs of servers, and where a run listens."""

import pytest

from scalelag.cluster.listening import ListenAddress, check_free
from scalelag.cluster.urls import check_url
from scalelag.errors import UsageError
from scalelag.options.checks import parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9646", ("127.0.0.1", 9646)),
        ("0.0.0.0:9646", ("0.0.0.0", 9646)),
        ("[::1]:9646", ("::1", 9646)),
        ("[fe80::1%eth0]:9646", ("fe80::1%eth0", 9646)),
        ("0", None),
    ],
)
def test_a_place_to_listen_at_is_a_port_with_or_without_a_host(text: str, address):
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["::1:9646", "[::1:9646", "[host]:9646", "host]:1", "[::1]", ":1"])
def test_an_address_of_ipv6_stands_in_brackets(text: str):
    with pytest.raises(UsageError, match=r"such as 9646, 0\.0\.0\.0:9646 or \[::1\]:9646"):
        parse_listen(text)


def test_a_place_that_is_not_of_this_machine_is_told_as_it_was_written():
    with pytest.raises(UsageError, match=r"^--prometheus-port \[2001:db8::1\]:9646: "):
        check_free(ListenAddress("2001:db8::1", 9646), "--prometheus-port")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:99999", '"127.0.0.1:99999": 99999 is no port; ports are 1 to 65535'),
        ("http://[::1]:0/x", '"[::1]:0": 0 is no port; ports are 1 to 65535'),
        ("http://u:secret@host:70000", '"host:70000": 70000 is no port; ports are 1 to 65535'),
        ("http://host:port", '"http://host:port" is not a URL; write http://HOST:PORT'),
    ],
)
def test_a_port_that_is_none_is_told_as_that(url: str, said: str):
    with pytest.raises(UsageError) as raised:
        check_url(url)

    assert str(raised.value) == said


@pytest.mark.parametrize(
    "url", ["http://[::1]", "http://[::1]:8000", "https://u:1@host", "http://h:"]
)
def test_urls_with_any_host_are_taken(url: str):
    assert check_url(url) == url
