"""Lengths and waits in the report: from rows by hand to figures by hand."""

import msgspec
import numpy as np
import pytest

from reports.analysis.load.latency import load_report
from reports.analysis.load.prompts import prompt_report
from reports.render.tables.prompts import prompt_table, session_table
from scalelag.plugin.leader.workers.collector import RowCollector
from scalelag.plugin.worker.recorder import PromptFacts, RequestRecorder, StreamTimes
from scalelag.prompts.info import PromptInfo
from scalelag.record.clock import Clock
from scalelag.record.error_kinds import TURN
from scalelag.record.requests_file import (
    NO_STREAMS,
    RequestColumns,
    RequestWriter,
    rows_from,
)
from scalelag.record.requests_reader import due_by, read_requests

NAN = float("nan")
WORDS = PromptInfo(tokenizer="words", session_header="X-Session-Id")


class Due:
    """An arrival of the open loop."""

    def __init__(self, intended_s: float) -> None:
        self.intended_s = self.sent_s = intended_s
        self.recorded = False


def fire(recorder: RequestRecorder, at_s: float, error: Exception | None = None, **context: object):
    recorder.on_request("POST", "/", 1.0, error, None, {"arrival": Due(at_s), **context})


@pytest.fixture
def rows(tmp_path) -> RequestColumns:
    """Four chats, of which one failed, one request of another kind, and a turn that was not sent."""
    recorder = RequestRecorder(Clock())
    now_s = Clock().now()
    stream = StreamTimes(now_s, 10, NAN, prompt_tokens=33)
    fire(recorder, now_s - 5, asked=PromptFacts(20, 16, 0, 1), stream=stream)
    fire(recorder, now_s - 4, asked=PromptFacts(40, 0, 1, 1), stream=stream._replace(tokens=20))
    fire(recorder, now_s - 3)
    fire(recorder, now_s - 2, asked=PromptFacts(60, 16, 0, 2, 0.25), stream=stream)
    fire(recorder, now_s - 1, ValueError("x"), asked=PromptFacts(80, 16, 1, 2, 0.0))
    recorder.add_not_sent(now_s, "/", TURN)
    path = tmp_path / "requests.arrow"
    writer = RequestWriter(path)
    RowCollector(writer).collect(recorder.take(), 0)
    writer.close()
    return read_requests(path)[0]


def test_what_was_asked_comes_through_message_file_and_reader(rows):
    asked = rows.asked

    assert asked.row.tolist() == [0, 1, 3, 4]
    assert asked.asked_prompt_tokens.tolist() == [20, 40, 60, 80]
    assert asked.asked_tokens.tolist() == [16, 0, 16, 16]
    assert list(zip(asked.session, asked.turn, strict=True)) == [(0, 1), (1, 1), (0, 2), (1, 2)]
    assert asked.turn_wait_s.tolist() == [0.0, 0.0, 0.25, 0.0]
    assert rows.streams.prompt_tokens.tolist() == [33, 33, 33]
    assert rows.errors[rows.error[5]] == TURN


def test_rows_after_the_warm_up_keep_what_was_asked_by_them(rows):
    later = rows_from(rows, float(rows.intended_s[1]))

    assert later.asked.row.tolist() == [0, 2, 3]
    assert later.asked.asked_prompt_tokens.tolist() == [40, 60, 80]


def test_medians_and_p95_are_those_of_the_rows(rows):
    found = prompt_report(rows, WORDS)

    assert found is not None
    assert (found.requests, found.counted_by) == (4, "words")
    assert (found.prompt_tokens_asked_p50, found.prompt_tokens_asked_p95) == (50, 77)
    assert (found.prompt_tokens_p50, found.prompt_tokens_p95) == (33, 33)
    assert (found.answer_tokens_asked_p50, found.answer_tokens_asked_p95) == (16, 16)
    assert (found.answer_tokens_p50, found.answer_tokens_p95) == (10, 19)
    sessions = found.sessions
    assert sessions is not None
    assert (sessions.sessions, sessions.turns, sessions.turns_max, sessions.waited) == (2, 4, 2, 1)
    assert (sessions.turn_wait_p50_ms, sessions.turn_wait_max_ms) == (125, 250)


def test_there_is_no_report_of_prompts_that_were_not_made(rows):
    assert prompt_report(rows, None) is None


def test_without_sessions_and_counts_they_are_not_measured(rows):
    alone = msgspec.structs.replace(rows, streams=NO_STREAMS)

    found = prompt_report(alone, PromptInfo("gpt", "tiktoken 1"))

    assert found is not None
    assert (found.counted_by, found.sessions) == ("gpt (tiktoken 1)", None)
    assert found.prompt_tokens_p50 is found.answer_tokens_p95 is None


def test_the_tables_name_lengths_tokenizer_and_waits(rows):
    load = msgspec.structs.replace(
        load_report(rows, None, (), "rps", 0.0), prompts=prompt_report(rows, WORDS)
    )

    lengths, sessions = prompt_table(load), session_table(load)

    assert lengths is not None
    assert sessions is not None
    assert "4 prompts" in lengths.caption
    assert "by words" in lengths.caption
    assert lengths.rows == (("prompt", "50", "77", "33", "33"), ("answer", "16", "16", "10", "19"))
    assert sessions.rows == (("2", "4", "2", "1", "125.0", "237.5", "250.0"),)


def test_a_turn_was_due_exactly_when_the_plan_has_it(tmp_path):
    """Also after its wait: rows that are missing are found by that time, to the last bit."""
    random = np.random.default_rng(1)
    due_s = 1.8e9 + np.sort(random.uniform(0, 1000, 500))
    waits_s = random.uniform(0, 60, 500)
    recorder = RequestRecorder(Clock())
    for at_s, wait_s in zip(due_s.tolist(), waits_s.tolist(), strict=True):
        intended_s = at_s + wait_s
        fire(recorder, intended_s, asked=PromptFacts(1, 1, 0, 1, intended_s - at_s))
    path = tmp_path / "requests.arrow"
    writer = RequestWriter(path)
    RowCollector(writer).collect(recorder.take(), 3)
    writer.close()

    assert due_by(path, 3).tolist() == due_s.tolist()
