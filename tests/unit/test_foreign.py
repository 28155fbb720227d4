"""Text from outside in lines of ours, in JSON, and behind links."""

import json
import logging
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.render.json_report import as_json
from scalelag.cli.main import app
from scalelag.console import say
from scalelag.errors import RecordError
from scalelag.foreign import encodable, encodable_json, escaped_json, sanitized, sanitized_lines
from scalelag.plugin.log_lines import make_harmless
from scalelag.record import output_file
from scalelag.record.output_file import write_file
from scalelag.record.text_codes import TextCodes
from tests.support.hostile import HARM, obeyed, orders


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left_and_all_else_is(text):
    shown = sanitized(text)

    assert obeyed(shown) == []
    assert "\n" not in shown
    assert len(shown) == len(text)
    assert all(after in (before, " ", "\ufffd") for before, after in zip(text, shown, strict=True))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_json_has_the_same_values(text):
    shown = as_json({text: [text]})

    assert json.loads(shown) == {text: [text]}
    assert obeyed(shown.decode()) == []


@given(st.text())
def test_halves_of_characters_are_replaced_and_nothing_else(text):
    whole = encodable(text)

    assert whole.encode().decode() == whole
    if all(not "\ud800" <= char <= "\udfff" for char in text):
        assert whole == text


@given(st.text('\ud83d\ude00\\u"ad8 é') | st.text())
def test_json_with_halves_of_characters_can_be_read_as_if_they_were_whole(text):
    data = json.dumps({"a": text}).encode()

    assert msgspec.json.decode(encodable_json(data)) == {"a": encodable(text)}
    upper = data.replace(b"\\ud", b"\\uD")
    assert msgspec.json.decode(encodable_json(upper)) == json.loads(encodable_json(upper))


def test_names_and_errors_are_recorded_without_halves_of_characters():
    codes = TextCodes()

    assert [codes.code(text) for text in ("a\ud800", "b", "a\ud800")] == [0, 1, 0]
    assert codes.texts == ["a\ufffd", "b"]


def test_json_beyond_the_basic_plane_is_escaped_in_two():
    assert escaped_json('"\U000e0041é"'.encode()) == '"\\udb40\\udc41é"'.encode()


def test_lines_stay_lines():
    assert sanitized_lines("one\x1b[2J\ntwo\t3") == "one\ufffd[2J\ntwo 3"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error file=a.py,line=1::x", ": :error file=a.py,line=1::x"),
        ("a ::STOP-commands::x", "a : :STOP-commands::x"),
        ("a##vso[task.x]##[error]##teamcity[x", "a# #vso[task.x]# #[error]# #teamcity[x"),
        ("std::error_code ::1 http://[::]:80 ## a a::b::c", None),
    ],
)
def test_a_mark_of_an_order_to_ci_is_parted(text, shown):
    assert sanitized(text) == (shown or text)
    assert orders(sanitized(text)) == []
    assert sanitized(sanitized(text)) == sanitized(text)


def test_json_has_no_mark_of_an_order_to_ci():
    escaped = escaped_json(b'"##vso[a] ###[b]"')

    assert orders(escaped.decode()) == []
    assert json.loads(escaped) == "##vso[a] ###[b]"


def test_a_line_of_ours_does_nothing_to_the_terminal(capsys):
    say(f"deploying app{HARM} ...")

    shown = capsys.readouterr().err
    assert shown.startswith("scalelag: deploying app")
    assert orders(shown) == []
    assert obeyed(shown) == []


@pytest.mark.parametrize("name", ["locust", "locust.stats_logger"])
def test_nor_does_a_log_line_with_an_exception(capsys, name):
    handler = logging.StreamHandler()
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        make_harmless()
        failed = ValueError(f"{HARM} http://me:canary@other/x?token=canary")
        logger.error("a task%s", HARM, exc_info=failed)
    finally:
        logger.removeHandler(handler)

    shown = capsys.readouterr().err
    assert "ValueError" in shown
    assert "http://other/x?token=(not recorded)" in shown
    assert "canary" not in shown
    assert orders(shown) == []
    assert obeyed(shown) == []


def test_neither_does_an_error_of_a_command(capsys, tmp_path):
    with pytest.raises(SystemExit):
        app(["report", str(tmp_path / "x\x1b[2J\u202e")])

    shown = capsys.readouterr().err
    assert shown.startswith("scalelag: ")
    assert obeyed(shown) == []


def test_no_file_is_written_through_a_link_at_its_temporary_name(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(output_file, "token_hex", lambda _: "guessed")
    other = tmp_path / "other"
    other.write_text("somebody else's")
    (tmp_path / ".scalelag-guessed.tmp").symlink_to(other)

    with pytest.raises(RecordError, match="File exists"):
        write_file(tmp_path / "run.json", b"ours")

    assert other.read_text() == "somebody else's"
