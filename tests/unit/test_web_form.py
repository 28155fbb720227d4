"""The start form: its sections and fields, their values when it is sent, and refusals in its words."""

import re
from itertools import chain
from pathlib import Path

import pytest

from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.options.run_options import run_options
from scalelag.plugin.web.form import LocustForm, label_of, sections
from scalelag.plugin.web.form_values import (
    LIST_FIELDS,
    Refusal,
    fixed_options,
    form_values,
    refusal_of,
    sends_secrets,
)

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
FIRST = ["steps", "host", "dashboard", "path", "deployments", "gates"]


def parsed(**given):
    defaults = {o.dest: [] if o.type == "list" else o.default for o in OPTIONS}
    return defaults | given


def fixed(environ=None, **given):
    """Options that the form of a Locust that was started with these options cannot change."""
    return fixed_options(parsed(**given), environ or {})


PLAIN = fixed()
FILES = {
    "calibration": "calibration.json",
    "trace": "t.csv",
    "requests": "mix.toml",
    "body_file": "b.bin",
    "data": "d.csv",
}


def fields_of(asked, given=PLAIN, locust=None):
    """All fields of the form, by name."""
    found = sections(asked, locust or LocustForm(), given)
    return {field.name: field for field in chain.from_iterable(one.fields for one in found)}


def sent(fields):
    """Values that a browser sends for a form that was left as it is."""
    return {
        name: str(field.value).lower() if isinstance(field.value, bool) else str(field.value)
        for name, field in fields.items()
        if field.tests != "users"
    }


def test_a_form_that_is_sent_as_it_is_asks_for_the_same_again():
    asked = parsed(
        steps="3users:4s", gate=["a.b <= 1", "c.d <= 2"], strict=True, repeat=3, drain=2.5
    )

    values = form_values(sent(fields_of(asked)), PLAIN)

    assert {name: values[name] for name in ("gate", "strict", "repeat", "drain", "steps")} == {
        "gate": ["a.b <= 1", "c.d <= 2"],
        "strict": True,
        "repeat": 3,
        "drain": 2.5,
        "steps": "3users:4s",
    }
    untouched = form_values(sent(fields_of(parsed())), PLAIN)
    assert run_options(parsed() | untouched) == run_options({})


def test_six_fields_are_open_and_all_others_stand_in_titled_sections():
    first, *others = sections(parsed(), LocustForm(), PLAIN)

    assert ([field.name for field in first.fields], first.is_open) == (FIRST, True)
    assert all(field.tests == "users" for one in others if one.is_open for field in one.fields)
    assert all(one.title and one.fields for one in others)


def test_every_option_of_the_form_has_one_field_with_a_label_and_a_help_text():
    shown = chain.from_iterable(
        one.fields for one in sections(parsed(**FILES), LocustForm(), fixed(**FILES))
    )
    names = [field.name for field in shown]

    assert len(names) == len(set(names))
    wanted = {o.dest for o in OPTIONS if o.in_web and o.dest not in ("grpc_module", "tokenizer")}
    assert wanted <= set(names)
    for field in fields_of(parsed()).values():
        assert field.label != field.name
        assert field.help
        assert "--" not in field.label


def test_options_of_the_locustfile_are_open_fields_of_their_kinds():
    plain = {"default_value": "a", "is_secret": False, "help_text": None, "choices": None}
    extra = {
        "my_text": plain,
        "my_flag": plain | {"default_value": True},
        "my_secret": plain | {"is_secret": True, "is_required": True},
        "my_choice": plain | {"choices": ["a", "b"]},
        "my_choices": plain | {"choices": ["a", "b"], "is_multiple": True},
        "steps": plain,
        "out": plain,
    }
    found = sections(parsed(), LocustForm(extra_options=extra), PLAIN)
    (theirs,) = (one for one in found if one.title == "Options of the locustfile")

    kinds = {"my_text": "text", "my_flag": "flag", "my_secret": "secret"}
    assert {field.name: field.kind for field in theirs.fields} == kinds | {
        "my_choice": "choice",
        "my_choices": "choices",
    }
    assert theirs.is_open
    assert theirs.fields[0].label == "My text"
    assert [field.name for field in theirs.fields if field.is_required] == ["my_secret"]


def test_no_field_is_for_what_may_hold_a_secret():
    fields = fields_of(parsed(header=["X-Token: ${TOKEN}"]))

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
    used = fields_of(parsed(**FILES), given)
    asked = parsed(**FILES) | form_values(dict.fromkeys(FILES, ""), given)
    left_out = fields_of(asked, given)

    for name, file in FILES.items():
        assert (used[name].value, used[name].choices) == (file, (file, ""))
        assert (left_out[name].value, left_out[name].choices) == ("", (file, ""))
    assert form_values(FILES, given) == FILES
    assert used["out"].choices == ("runs",)


def test_files_that_were_not_given_are_no_fields_also_not_where_locust_makes_them_some():
    extra = {name: {} for name in (*FILES, "grpc_module")}
    fields = fields_of(parsed(), PLAIN, LocustForm(extra_options=extra))

    assert fields.keys() & {*FILES, "grpc_module"} == set()
    assert fields["out"].value == "runs"


@pytest.mark.parametrize("name", [*FILES, "grpc_module", "out"])
def test_a_form_can_name_no_file_and_no_module_of_this_machine(name):
    flag = "--" + name.replace("_", "-")

    for given in (PLAIN, fixed(**FILES)):
        with pytest.raises(UsageError) as raised:
            form_values({name: "/etc/hostname"}, given)
        assert str(raised.value) == (
            f'{flag}: "/etc/hostname" was not given on the command line, and this page takes no other.'
        )


@pytest.mark.parametrize(
    "name",
    [
        *("header", "report", "gate", "deployment", "insecure", "dashboard_ca", "dashboard_header"),
        *("event", "allow_faults", "prometheus_port"),
    ],
)
@pytest.mark.parametrize("value", ["X: ${HOME}", "true", ""])
def test_options_that_the_form_does_not_show_are_refused(name, value):
    flag = "--" + name.replace("_", "-")
    with pytest.raises(UsageError, match=f"{flag} is not a field of this form"):
        form_values({name: value}, fixed(insecure=True, dashboard_ca="ca.pem"))


def test_the_check_of_a_certificate_is_as_it_was_given_whatever_a_form_says():
    asked = parsed(insecure=False, dashboard_ca="ca.pem")
    given = fixed(dashboard_ca="ca.pem")

    assert not {"insecure", "dashboard_ca"} & fields_of(asked, given).keys()
    assert (
        not {"insecure", "dashboard_ca"} & form_values(sent(fields_of(asked, given)), given).keys()
    )


def test_a_password_goes_to_the_prometheus_that_it_was_given_for_and_to_no_other():
    url, shown = "http://me:s3cret@127.0.0.1:9090", "http://127.0.0.1:9090"
    given = fixed(prometheus=url)
    field = fields_of(parsed(prometheus=url), given)["prometheus"]

    assert (field.value, field.choices) == (shown, (shown, ""))
    assert form_values({"prometheus": shown}, given) == {"prometheus": url}
    with pytest.raises(UsageError, match=r"--prometheus: .* was not given on the command line"):
        form_values({"prometheus": "http://127.0.0.2:9090"}, given)
    assert form_values({"prometheus": "http://a:1"}, PLAIN) == {"prometheus": "http://a:1"}


@pytest.mark.parametrize(
    ("option", "given", "shown"),
    [
        ("path", "/x?key=s3cret&n=1", "/x?key=(not recorded)&n=1"),
        ("json_body", '{"token": "s3cret"}', '{"token": "(not recorded)"}'),
    ],
)
def test_a_request_with_a_secret_is_sent_as_it_was_given_and_to_no_other_host(option, given, shown):
    kept = fixed(**{option: given})

    fields = {
        f.name: f for s in sections(parsed(**{option: given}), LocustForm(), kept) for f in s.fields
    }
    assert (fields[option].kind, fields[option].value) == ("choice", shown)
    assert "s3cret" not in str(fields)
    assert form_values({option: shown}, kept) == {option: given}
    with pytest.raises(UsageError, match="takes no other"):
        form_values({option: "/other"}, kept)
    assert "grpc_host" in kept
    assert sends_secrets(parsed(**{option: given}))


def test_a_secret_in_a_file_of_requests_goes_to_no_other_host(tmp_path):
    file = tmp_path / "mix.toml"
    file.write_text('[[request]]\npath = "/x?n=1"\n')
    assert not sends_secrets(parsed(requests=str(file)))

    file.write_text('[[request]]\npath = "/x?key=s3cret"\n')
    assert sends_secrets(parsed(requests=str(file)))


def test_docs_tell_what_a_form_cannot_change():
    [told] = re.findall(
        r"^- \*\*From the command line only\*\*: .*$", SECURITY.read_text(), re.MULTILINE
    )

    kept = {o.flag for o in OPTIONS if (not o.in_web or o.is_local) and o.dest not in LIST_FIELDS}
    assert set(re.findall(r"`(--[a-z-]+)`", told)) == kept


@pytest.mark.parametrize("variable", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_token_goes_to_the_dashboard_that_it_was_given_for_and_to_no_other(variable):
    ours, other = "http://127.0.0.1:1", "http://127.0.0.1:2"
    given = fixed({variable: "x"}, dashboard=ours)

    assert fields_of(parsed(dashboard=ours), given)["dashboard"].choices == (ours,)
    assert form_values({"dashboard": ours}, given) == {"dashboard": ours}
    with pytest.raises(UsageError, match=r"--dashboard: .* was not given on the command line"):
        form_values({"dashboard": other}, given)
    assert form_values({"dashboard": other}, PLAIN) == {"dashboard": other}


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        ('--steps: unknown unit "rpm"', "steps", 'unknown unit "rpm"'),
        ("--gate: no such figure", "gates", "no such figure"),
        ("--host is missing: the URL.", "host", "“Host” is missing: the URL."),
        ("--trace and --steps: one.", "trace", "“Trace file” and “Load plan”: one."),
        ("http://d:1/api answered 503", "dashboard", "http://d:1/api answered 503"),
        ("http://h:2/x: refused. See --header.", "host", "http://h:2/x: refused. See --header."),
        ("No deployment a/B at http://d:1.", "deployments", "No deployment a/B at http://d:1."),
        ("No load process is connected.", None, "No load process is connected."),
    ],
)
def test_a_refusal_stands_at_its_field_and_names_fields_as_the_form_does(message, field, words):
    values = [("deployments", "a/B"), ("dashboard", "http://d:1"), ("host", "http://h:2")]

    assert refusal_of(message, label_of, values) == Refusal(words, field)


def test_a_long_value_that_a_refusal_holds_is_cut_and_still_names_its_field():
    host = "http://" + "h" * 100_000
    values = [("dashboard", "http://d:1"), ("host", host)]

    for message in (f"{host}/x: refused", f"{host[:120]}.. (100,007 characters) is not a URL"):
        found = refusal_of(message, label_of, values)
        assert found.field == "host"
        assert len(found.message) < 200
