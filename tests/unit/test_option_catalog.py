"""The catalog of options: each described once, and parsed once."""

import pytest

from scalelag.errors import UsageError
from scalelag.options import checks
from scalelag.options.catalog import COMPARABLE, OPTIONS, option_of
from scalelag.options.option import Option, parse_option
from scalelag.options.run_options import run_options

FORM_FIRST = ["steps", "dashboard", "path", "deployment", "gate"]


def test_each_option_has_a_short_label_and_a_help_text_that_is_a_sentence():
    labels = [option.label for option in OPTIONS]

    assert len(set(labels)) == len(labels)
    assert [label for label in labels if not 0 < len(label) <= 28] == []
    assert [option.flag for option in OPTIONS if not option.help.endswith(".")] == []


def test_sections_are_not_torn_apart():
    sections = [option.section for option in OPTIONS]

    runs = [section for i, section in enumerate(sections) if sections[i - 1 : i] != [section]]
    assert len(runs) == len(set(runs))


def test_every_default_is_a_value_that_its_option_takes():
    for option in OPTIONS:
        if option.type != "list":
            parse_option(option, option.default)


def test_a_value_is_parsed_once_however_often_it_is_asked_for():
    seen: list[str] = []

    def parse(text: str) -> int:
        seen.append(text)
        return len(text)

    option = Option("--x", "X", "Load", "X.", parse=parse)

    assert [parse_option(option, "abc"), parse_option(option, "abc")] == [3, 3]
    assert seen == ["abc"]


@pytest.mark.parametrize("dest", ["json_body", "path", "expect", "name", "out", "header"])
def test_bytes_that_are_no_text_are_refused(dest):
    with pytest.raises(UsageError, match=r"is no text in UTF-8"):
        parse_option(option_of(dest), "a: \udcff")


@pytest.mark.parametrize("dest", ["seed", "max_in_flight", "drain", "wait"])
@pytest.mark.parametrize("number", [10**30, 10**400, -(10**400), 1e30])
def test_a_number_that_nothing_counts_to_is_refused(dest, number):
    with pytest.raises(UsageError, match="than any run needs"):
        parse_option(option_of(dest), number)


def test_what_does_not_parse_is_named_by_its_flag():
    with pytest.raises(UsageError, match=r'^--models: "a,,b": give model ids'):
        run_options({"models": "a,,b"})
    with pytest.raises(UsageError, match=r"^--models: "):
        run_options({"models": "a b"})
    assert run_options({"models": "a, b,a"}).request.models == ("a", "b", "a")
    assert checks.parse_models("") == ()


def test_paths_and_code_of_this_machine_are_known():
    assert {option.dest for option in OPTIONS if option.is_path} == {
        *("calibration", "trace", "requests", "body_file", "data", "dashboard_ca", "out"),
    }
    assert {option.dest for option in OPTIONS if option.is_local and not option.is_path} == {
        *("grpc_module", "tokenizer"),
    }


def test_the_form_begins_with_what_is_used_most():
    ranks = {option.form_rank: option.dest for option in OPTIONS if option.form_rank is not None}

    assert [ranks[rank] for rank in sorted(ranks)] == FORM_FIRST


def test_what_was_not_done_to_the_target_keeps_no_runs_apart():
    assert {
        *(
            "dashboard",
            "dashboard_ca",
            "dashboard_header",
            "drain",
            "gate",
            "grpc_host",
            "insecure",
            "requests",
        ),
        *("name", "out", "report", "strict", "wait", "wait_for_room", "details"),
        *("prometheus", "prometheus_port"),
    } == COMPARABLE
