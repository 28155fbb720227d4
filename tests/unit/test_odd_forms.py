"""A start form with odd values: each is refused at its field in a few words, or can be used."""

from itertools import chain

import pytest

from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.options.run_options import run_options
from tests.support.unpatched import import_unpatched

shown = import_unpatched("scalelag.plugin.web.form")
values_of = import_unpatched("scalelag.plugin.web.form_values")
locust_fields = import_unpatched("scalelag.plugin.web.locust_fields")

LONG, DIGITS = "x" * 100_000, "9" * 5000
ODD = (
    *("", " ", "\n", "a\r\nb: c", "\0", "\ud800", "ä€😀\u202e", LONG, "<script>alert(1)</script>"),
    *("-1", "-0.5", "NaN", "inf", "-inf", "1e999", "9" * 400, DIGITS, "1.5", "0x10", "0"),
    *(",", ";;;", "[]", "{{ 1 }}", "${HOME}", "none", "true", "http://", "-", "yes"),
)
LONGEST_MESSAGE = 600
PARSED = {o.dest: [] if o.type == "list" else o.default for o in OPTIONS}
FIXED = values_of.fixed_options(PARSED, {})
SHOWN = shown.sections(PARSED, shown.LocustForm(), FIXED)
FIELDS = [field.name for field in chain.from_iterable(one.fields for one in SHOWN)]
EXTRA = {
    "my_count": {"choices": None},
    "my_share": {"choices": None},
    "my_flag": {"choices": None},
    "my_text": {"choices": None},
    "my_choice": {"choices": ["a", "b"]},
}
THEIRS = {"my_count": 3, "my_share": 0.5, "my_flag": True, "my_text": "x", "my_choice": "a"}


def refusal(**form):
    """Refusal that the page shows at a field, if any."""
    try:
        values = values_of.form_values(form, FIXED)
        if (of_locust := locust_fields.locust_refusal(form, EXTRA, PARSED | THEIRS)) is not None:
            return of_locust
        run_options(PARSED | values)
    except UsageError as error:
        return values_of.refusal_of(str(error), shown.label_of, [])
    return None


@pytest.mark.parametrize("name", [*FIELDS, *EXTRA])
def test_an_odd_value_is_refused_at_its_field_in_a_few_words_or_can_be_used(name):
    said = [found for value in ODD if (found := refusal(**{name: value})) is not None]

    assert {one.field for one in said} <= {name}
    assert all(0 < len(one.message) < LONGEST_MESSAGE for one in said)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.type in ("int", "float") and o.in_web])
@pytest.mark.parametrize("value", ["NaN", "-inf", "1e999", "-1", DIGITS, LONG, "<b>1</b>", "1\n2"])
def test_no_number_of_the_form_is_negative_or_none_at_all(option, value):
    found = refusal(**{option.dest: value})

    assert found is not None
    assert found.field == option.dest


def test_of_several_odd_values_the_first_is_told():
    found = refusal(steps="NaNrps:1s", repeat="1e999", slos="p95<-1ms", wait="<b>")

    assert found is not None
    assert found.field in ("steps", "repeat", "slos", "wait")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("user_count", "", "is not a whole number from 0 to 100,000"),
        ("user_count", "1e999", "is not a whole number"),
        ("user_count", "-1", "is not a whole number"),
        ("user_count", "9" * 400, "is not a whole number"),
        ("spawn_rate", "NaN", "is not a number above 0"),
        ("spawn_rate", "0", "is not a number above 0"),
        ("spawn_rate", "1e999", "is not a number above 0"),
        ("run_time", "1 hour", "is no time: write 20, 20s, 3m or 1h20m"),
        ("run_time", "9" * 400 + "h", "is no time"),
        ("run_time", "9999999h", "is longer than"),
        ("my_count", "1.5", "is not a whole number"),
        ("my_share", "a", "is not a number"),
        ("my_flag", "yes", "is neither true nor false"),
        ("my_choice", "c", "is none of a, b"),
    ],
)
def test_fields_of_locust_and_of_the_locustfile_are_checked_before_locust_takes_them(
    name, value, words
):
    found = refusal(**{name: value})

    assert found is not None
    assert found.field == name
    assert words in found.message


@pytest.mark.parametrize(
    "form",
    [
        {"user_count": "0", "spawn_rate": "0.5", "run_time": ""},
        {"user_count": "10", "spawn_rate": "1e3", "run_time": "1h20m"},
        {
            "my_count": "-3",
            "my_share": "nan",
            "my_flag": "false",
            "my_text": "<b>",
            "my_choice": "b",
        },
        {"strict": "true", "expect": "ä€😀", "name": "a-b"},
    ],
)
def test_values_that_can_be_used_are_taken(form):
    assert refusal(**form) is None
