"""Texts made to keep a regular expression busy: none takes more than its length asks for."""

import time

import msgspec
import pytest

from probes.cluster_status import demand_resources, parse_cluster_status
from probes.logs.log_lines import Record, parse, records
from scalelag.cluster.urls import hide_credentials
from scalelag.record.secrets import hide_body_secrets, hide_url_secrets
from scalelag.users.engine.event_stream import EventParser

LONGEST = 1 << 16  # letters of a line of a log that are read
MOST_S = 5.0
"""Each took from half a minute to some hours of the processor; now a tenth of a second."""


def line(message):
    return Record(0.0, message[:LONGEST], "")


LOG = b"INFO 2026-11-22 19:38:49,855 "


def status(text):
    text = f"Active:\n 1 node\n{text}"
    return msgspec.json.encode({"data": {"clusterStatus": text}})


CASES = {
    "log, in application": lambda: [
        parse(line("Autoscaling replicas for deployment a" + " in application " * 4000), source)
        for source in ("controller", "replica", "proxy")
        for _ in range(20)
    ],
    "log, head": lambda: list(records([LOG + b"a" * LONGEST] * 100)),
    "log, place": lambda: list(records([LOG + b"x " + b"a.b:1" * (LONGEST // 5)] * 100)),
    "head of Ray's status": lambda: parse_cluster_status(status("=" * 500_000)),
    "line of a stream": lambda: [
        parser.feed(b"x" * 65_536) for parser in [EventParser()] for _ in range(1000)
    ],
    "body, text without an end": lambda: hide_body_secrets('"' + '\\"' * 500_000),
    "body, texts without an end": lambda: hide_body_secrets('"\\' * 500_000),
    "URLs": lambda: hide_credentials("@" + "://" * 300_000),
    "parameters": lambda: hide_url_secrets("?token={{ x }}" + "?a=b" * 200_000),
    "headers": lambda: hide_url_secrets("Bearer " + "a" * 500_000 + " token" * 50_000),
    "spaces": lambda: hide_url_secrets(("token" + " " * 50) * 10_000),
    "templates": lambda: hide_url_secrets("?token=" + "{{a}}" * 100_000 + "x"),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_keeps_a_pattern_busy(case):
    begun_s = time.process_time()

    CASES[case]()

    assert time.process_time() - begun_s < MOST_S


def test_what_has_no_end_is_a_text_to_the_end():
    assert hide_body_secrets('{"a": "b", "token": "s3cret and mo') == (
        '{"a": "b", "token": "(not recorded)"'
    )
    assert hide_body_secrets('{"a": "http://me:s3cret@h/x') == '{"a": "http://h/x'
    assert hide_body_secrets('"a\\') == '"a\\'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a@b://c@d", "a@b://d"),
        ("http://u:p@h/x?y=http://u:p@i me@x", "http://i me@x"),
        ("'http://u:p@h' <http://u@i> me@there", "'http://h' <http://i> me@there"),
        ("http://h", "http://h"),
        ("me@there", "me@there"),
    ],
)
def test_users_go_up_to_the_last_at_sign_of_a_word(text, shown):
    assert hide_credentials(text) == shown


@pytest.mark.parametrize(
    "amount",
    [
        "9" * 6000,
        "-" * 50_000 + "1",
        "1+" * 20_000 + "1",
        "(" * 50_000,
        "9**9**9",
        "[" * 90 + "]" * 90,
    ],
)
def test_a_demand_that_is_none_is_told_as_none(amount):
    assert demand_resources(f"{{'CPU': {amount}}}") == {}


def test_numbers_without_an_end_are_none():
    digits = "9" * 6000
    text = f"Active:\n {digits} many\nDemands:\n {{'CPU': 1.0}}: {digits}+ pending tasks/actors\n"

    found = parse_cluster_status(status(text))

    assert (found.active, found.demands) == ({"node": 1}, {})
    assert demand_resources(f"{{'CPU': 1.0}} * {digits}") == {"CPU": 1.0}


def test_a_line_of_a_stream_may_come_in_many_pieces():
    parser = EventParser()

    events = [
        event
        for piece in b"data: abc|\r|data: d|e|\r|\n|\r|\n".split(b"|")
        for event in parser.feed(piece)
    ]

    assert [event.data for event in events] == ["abc\nde"]
