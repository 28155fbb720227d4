"""Our options as fields of Locust's form, and back."""

import pytest

from scalelag.errors import UsageError
from scalelag.plugin.options import OPTIONS
from scalelag.plugin.run_options import run_options
from scalelag.plugin.web_form import form_fields, form_values


def parsed(**given):
    defaults = {o.dest: [] if o.type == "list" else o.default for o in OPTIONS}
    return defaults | given


def sent(fields):
    """What a browser sends for a form that was left as it is."""
    return {
        name: str(field["default_value"]).lower()
        if isinstance(field["default_value"], bool)
        else str(field["default_value"])
        for name, field in fields.items()
    }


def test_a_form_that_is_sent_as_it_is_asks_for_the_same_again():
    asked = parsed(
        steps="3users:4s", gate=["a.b <= 1", "c.d <= 2"], strict=True, repeat=3, drain=2.5
    )

    values = form_values(sent(form_fields(asked, {})))

    assert {name: values[name] for name in ("gate", "strict", "repeat", "drain", "steps")} == {
        "gate": ["a.b <= 1", "c.d <= 2"],
        "strict": True,
        "repeat": 3,
        "drain": 2.5,
        "steps": "3users:4s",
    }
    assert run_options(parsed() | form_values(sent(form_fields(parsed(), {})))) == run_options({})


def test_fields_of_others_come_after_ours():
    assert list(form_fields(parsed(), {"mine": {}, "steps": {}}))[-1] == "mine"


def test_no_field_is_for_what_may_hold_a_secret():
    fields = form_fields(parsed(header=["X-Token: ${TOKEN}"]), {})

    assert "header" not in fields
    assert "TOKEN" not in str(fields)


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("repeat", "", '--repeat: "" is not a whole number.'),
        ("seed", "1.5", '--seed: "1.5" is not a whole number.'),
        ("drain", "long", '--drain: "long" is not a number.'),
    ],
)
def test_what_is_no_number_is_named(field, text, message):
    with pytest.raises(UsageError) as raised:
        form_values({field: text})
    assert str(raised.value) == message


def test_a_form_that_lacks_a_field_leaves_its_option_alone():
    assert form_values({"user_count": "1", "steps": "1rps:1s"}) == {"steps": "1rps:1s"}


def test_empty_lists_are_empty():
    assert form_values({"gates": " ; ", "deployments": ""}) == {"gate": [], "deployment": []}
