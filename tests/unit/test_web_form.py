"""Our options as fields of Locust's form, and back."""

import pytest

from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.options.run_options import run_options
from scalelag.plugin.web.form import fixed_options, form_fields, form_values


def parsed(**given):
    defaults = {o.dest: [] if o.type == "list" else o.default for o in OPTIONS}
    return defaults | given


def fixed(environ=None, **given):
    """What the form of a Locust that was started with these options cannot change."""
    return fixed_options(parsed(**given), environ or {})


PLAIN = fixed()
FILES = {"trace": "t.csv", "body_file": "b.bin", "data": "d.csv", "dashboard_ca": "ca.pem"}


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

    values = form_values(sent(form_fields(asked, {}, PLAIN)), PLAIN)

    assert {name: values[name] for name in ("gate", "strict", "repeat", "drain", "steps")} == {
        "gate": ["a.b <= 1", "c.d <= 2"],
        "strict": True,
        "repeat": 3,
        "drain": 2.5,
        "steps": "3users:4s",
    }
    untouched = form_values(sent(form_fields(parsed(), {}, PLAIN)), PLAIN)
    assert run_options(parsed() | untouched) == run_options({})


def test_fields_of_others_come_after_ours():
    assert list(form_fields(parsed(), {"mine": {}, "steps": {}}, PLAIN))[-1] == "mine"


def test_no_field_is_for_what_may_hold_a_secret():
    fields = form_fields(parsed(header=["X-Token: ${TOKEN}"]), {}, PLAIN)

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
        form_values({field: text}, PLAIN)
    assert str(raised.value) == message


def test_a_form_that_lacks_a_field_leaves_its_option_alone():
    assert form_values({"user_count": "1", "steps": "1rps:1s"}, PLAIN) == {"steps": "1rps:1s"}


def test_empty_lists_are_empty():
    assert form_values({"gates": " ; ", "deployments": ""}, PLAIN) == {"gate": [], "deployment": []}


def test_files_that_were_given_can_be_used_or_left_out_and_the_form_remembers_which():
    given = fixed(**FILES)
    used = form_fields(parsed(**FILES), {}, given)
    asked = parsed(**FILES) | form_values(dict.fromkeys(FILES, ""), given)
    left_out = form_fields(asked, {}, given)

    for name, file in FILES.items():
        # The page shows the first where the default is an empty text.
        assert (used[name]["default_value"], used[name]["choices"]) == (file, [file, ""])
        assert (left_out[name]["default_value"], left_out[name]["choices"]) == ("", ["", file])
    assert form_values(FILES, given) == FILES
    assert used["out"]["choices"] == ["runs"]


def test_files_that_were_not_given_are_no_fields_also_not_where_locust_makes_them_some():
    fields = form_fields(parsed(), {name: {} for name in (*FILES, "grpc_module")}, PLAIN)

    assert fields.keys() & {*FILES, "grpc_module"} == set()
    assert fields["out"]["default_value"] == "runs"


@pytest.mark.parametrize("name", [*FILES, "grpc_module", "out"])
def test_a_form_can_name_no_file_and_no_module_of_this_machine(name):
    flag = "--" + name.replace("_", "-")

    for given in (PLAIN, fixed(**FILES)):
        with pytest.raises(UsageError) as raised:
            form_values({name: "/etc/hostname"}, given)
        assert str(raised.value) == (
            f'{flag}: "/etc/hostname" was not given on the command line, and this page takes no other.'
        )


@pytest.mark.parametrize("name", ["header", "report", "gate", "deployment"])
def test_options_that_the_form_does_not_show_are_refused(name):
    with pytest.raises(UsageError, match=f"--{name} is no field of this form"):
        form_values({name: "X: ${HOME}"}, PLAIN)


@pytest.mark.parametrize("variable", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_token_goes_to_the_dashboard_that_it_was_given_for_and_to_no_other(variable):
    ours, other = "http://127.0.0.1:1", "http://127.0.0.1:2"
    given = fixed({variable: "x"}, dashboard=ours)

    assert form_fields(parsed(dashboard=ours), {}, given)["dashboard"]["choices"] == [ours]
    assert form_values({"dashboard": ours}, given) == {"dashboard": ours}
    with pytest.raises(UsageError, match=r"--dashboard: .* was not given on the command line"):
        form_values({"dashboard": other}, given)
    assert form_values({"dashboard": other}, PLAIN) == {"dashboard": other}
