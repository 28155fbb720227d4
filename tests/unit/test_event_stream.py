"""Server-sent events: as the standard reads them, wherever their bytes are cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.users.engine.event_stream import Event, EventParser

PIECES = ["data", "data:", "data: ", "event: e", "id: 7", "retry: 1", ":", " ", "x", "ü", "\u2028"]
ENDS = ["\n", "\r", "\r\n"]
texts = st.lists(st.sampled_from([*PIECES, *ENDS, *ENDS, "\ufeff"])).map("".join)
streams = st.one_of(texts.map(str.encode), st.binary(max_size=40))


def as_the_standard_says(stream: bytes) -> list[Event]:
    """Section 9.2.6, on a stream that is there, whole."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _unended = re.split("\r\n|\n|\r", text)
    events, data, kind = [], "", ""
    for line in lines:
        if line == "":
            if data != "":
                events.append(Event(kind if kind != "" else "message", data[:-1]))
            data, kind = "", ""
        elif not line.startswith(":"):
            match = re.fullmatch("([^:]*)(?:: ?(.*))?", line, re.DOTALL)
            assert match is not None
            field, value = match[1], match[2] or ""
            if field == "data":
                data += value + "\n"
            elif field == "event":
                kind = value
    return events


def parsed(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        ("data: a\n\n", [("message", "a")]),
        ("data:a\n\ndata:  b\n\n", [("message", "a"), ("message", " b")]),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")]),
        ("event: add\rdata: 7\r\r", [("add", "7")]),
        ("event: add\r\ndata: 7\r\n\r\ndata: 8\r\n\r\n", [("add", "7"), ("message", "8")]),
        (": nothing\n\nid: 1\n\nevent: e\n\nother: x\n\n", []),
        ("data\n\ndata\ndata\n\n", [("message", ""), ("message", "\n")]),
        ("data: cut off", []),
        ("data: cut off\n", []),
        ("\ufeffdata: a\n\n", [("message", "a")]),
        ("\ufeff\ufeffdata: a\n\n", []),
    ],
)
def test_events_are_read_as_the_standard_says(stream: str, events: list[tuple[str, str]]):
    assert parsed(stream.encode()) == [Event(*event) for event in events]


@given(streams)
def test_any_stream_is_read_as_the_standard_says(stream: bytes):
    assert parsed(stream) == as_the_standard_says(stream)


@given(streams, st.lists(st.integers(0, 60)))
def test_it_makes_no_difference_where_a_stream_is_cut(stream: bytes, cuts: list[int]):
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(edges)]

    assert parsed(*pieces) == as_the_standard_says(stream)


@given(streams, st.lists(st.integers(0, 60)))
def test_the_rest_is_the_event_that_an_empty_line_would_have_ended(stream: bytes, cuts: list[int]):
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parser = EventParser()
    events = [event for a, b in pairwise(edges) for event in parser.feed(stream[a:b])]

    rest = parser.rest()

    assert [*events, *([rest] if rest else [])] == as_the_standard_says(stream + b"\n\n")
    assert parser.rest() is None


@pytest.mark.parametrize("end", ENDS)
def test_cut_at_every_byte_each_event_is_there_with_the_byte_that_ends_it(end: str):
    """A CR ends a line at once, even if an LF may follow."""
    one, two = (f"data: {word}{end}{end}".encode() for word in ("grün", "two"))
    needed = len(one) - (1 if end == "\r\n" else 0)
    parser = EventParser()

    events = [parser.feed(bytes([byte])) for byte in one + two]

    assert events[needed - 1] == [Event("message", "grün")]
    assert [event for found in events for event in found] == [
        Event("message", "grün"),
        Event("message", "two"),
    ]
