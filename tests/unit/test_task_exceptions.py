"""Exceptions in the tasks of users: counted by kind, without passwords, and judged."""

import msgspec
import pytest

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gates
from reports.render.tables.load import exception_table
from scalelag.plugin.worker.task_exceptions import TaskExceptions, merged
from scalelag.record.run_info import TaskException
from tests.unit.recorded_runs import info, recorded


def raised(error: Exception) -> Exception:
    try:
        raise error  # noqa: TRY301  for its traceback
    except Exception as caught:  # noqa: BLE001  any, with a traceback
        return caught


def told(*errors: Exception) -> tuple[TaskException, ...]:
    exceptions = TaskExceptions()
    for error in map(raised, errors):
        exceptions.on_user_error(user_instance=None, exception=error, tb=error.__traceback__)
    return exceptions.take()


def test_exceptions_of_one_kind_are_counted_with_the_last_line_and_the_place():
    (found,) = told(KeyError("answer"), KeyError("answer"))

    assert (found.text, found.count) == ("KeyError: 'answer'", 2)
    assert found.where is not None
    assert found.where.startswith("test_task_exceptions.py:")
    assert found.where.endswith(" in raised")


@pytest.mark.parametrize(
    "url", ["http://me:secret@host/path", "http://me:se@cret@host/path", "grpc://secret@host/path"]
)
def test_no_password_of_a_url_is_kept(url: str):
    (found,) = told(ValueError(f"cannot reach '{url}' today"))

    assert "secret" not in found.text
    assert "cret" not in found.text
    assert "host/path' today" in found.text


def test_no_token_of_a_url_is_kept():
    (found,) = told(RuntimeError("no answer from http://host/path?token=secret today"))

    assert found.text == "RuntimeError: no answer from http://host/path?token=(not recorded) today"


def test_only_the_last_line_of_a_long_message_is_kept():
    (found,) = told(RuntimeError("first\nsecond\nlast " + "x" * 1000))

    assert found.text.startswith("last x")
    assert len(found.text) == 300


def test_of_very_many_kinds_the_later_ones_are_counted_together():
    found = told(*(ValueError(str(number)) for number in range(150)))

    assert len(found) == 101
    assert (found[-1].text, found[-1].count) == ("(others)", 50)


def test_what_was_taken_is_not_counted_again_and_workers_are_added_up():
    one, other = TaskException("A", "f", 2), TaskException("B", None, 1)

    assert told() == ()
    assert merged((one, other), (one,)) == (TaskException("A", "f", 4), other)


def test_a_run_with_an_exception_fails_by_default_and_shows_it():
    kinds = (TaskException("KeyError: 'a'", "mine.py:3 in ask", 1), TaskException("B", None, 4))

    report = analyse(recorded(info(task_exceptions=kinds)), parse_gates([])).report

    assert report.verdict == "fail"
    assert report.load.task_exceptions == 5
    assert [gate.verdict for gate in report.gates] == ["pass", "fail"]
    table = exception_table(report.load)
    assert table is not None
    assert [row[:2] for row in table.rows] == [("4", "B"), ("1", "KeyError: 'a'")]


def test_without_exceptions_the_run_passes_and_in_older_records_nothing_is_judged():
    none = analyse(recorded(info(task_exceptions=())), parse_gates([])).report
    older = analyse(recorded(), parse_gates([])).report

    assert (none.verdict, none.load.task_exceptions) == ("pass", 0)
    assert (older.verdict, older.load.task_exceptions) == ("pass", None)
    assert [gate.expr for gate in older.gates] == ["requests.error_ratio <= 0.01"]


def test_an_older_run_info_has_no_exceptions():
    data = msgspec.json.encode(info())

    older = msgspec.json.decode(data.replace(b'"task_exceptions":null,', b""), type=type(info()))

    assert older.task_exceptions is None


def test_an_exception_whose_text_no_file_can_hold_is_counted_all_the_same():
    exceptions = TaskExceptions()
    exceptions.on_user_error(ValueError("no label in \udce9"))

    (taken,) = exceptions.take()
    assert taken.text == "ValueError: no label in \ufffd"
