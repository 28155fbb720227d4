"""Our options in the form with which a test is started on Locust's page."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from probes.dashboard import TOKEN_VARIABLES
from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS, Option

_NUMBERS = {"int": int, "float": float}
_LIST_FIELDS = {"deployment": "deployments", "gate": "gates"}
"""Options that can be repeated are fields of their own: Locust cannot read lists from a form."""

_FIRST = (
    "steps",
    "arrivals",
    "repeat",
    "path",
    "deployments",
    "gates",
    "drain",
    "dashboard",
    "name",
)

Field = dict[str, Any]
"""What Locust's page makes an input of."""


Fixed = Mapping[str, Any]
"""Options that the form cannot change, with what Locust was started with."""


def fixed_options(
    parsed: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """What Locust was started with of options that are not for everybody who reaches the page.

    That is what names a file or code of this machine; and where the environment holds a token for the
    dashboard, which dashboard gets it.
    """
    has_token = any(environ.get(name) for name in TOKEN_VARIABLES)
    return {
        option.dest: parsed.get(option.dest)
        for option in OPTIONS
        if option.is_local or (option.dest == "dashboard" and has_token)
    }


def form_fields(
    parsed: Mapping[str, Any], others: Mapping[str, Field], fixed: Fixed
) -> dict[str, Field]:
    """The fields of the form: ours with what was asked for last, the most used first; then `others`.

    Of what is `fixed` those that were given, to be chosen or not.
    """
    ours: dict[str, Field] = {}
    for option in OPTIONS:
        if option.dest in _LIST_FIELDS:
            ours[_LIST_FIELDS[option.dest]] = _field(
                option.help.replace(
                    "Can be repeated.", "Several: one after the other, with ; between."
                ),
                "; ".join(parsed.get(option.dest) or ()),
            )
        elif option.in_web and (option.dest not in fixed or fixed[option.dest]):
            value = parsed.get(option.dest)
            value = "" if value is None else value
            field = _field(option.help, value)
            if choices := _choices(option, value, fixed):
                field["choices"] = choices
            field |= {"type": "number"} if option.type == "int" else {}
            ours[option.dest] = field
    names = [*_FIRST, *(name for name in ours if name not in _FIRST)]
    return {name: ours[name] for name in names} | {
        name: field for name, field in others.items() if name not in ours and name not in fixed
    }


def _field(help_text: str, value: Any) -> Field:  # noqa: ANN401  any option's value
    return {
        "default_value": value,
        "is_secret": False,
        "is_required": False,
        "is_multiple": False,
        "help_text": help_text,
        "choices": None,
    }


def _choices(option: Option, value: Any, fixed: Fixed) -> list[str]:  # noqa: ANN401  any option's value
    if option.dest not in fixed:
        return list(option.choices)
    # Of a default that is an empty text Locust's page makes the first of the choices.
    return sorted(_kept(option, fixed), key=lambda choice: choice != value)


def _kept(option: Option, fixed: Fixed) -> tuple[str, ...]:
    """What the form may say of a fixed option: as given, or nothing where it can be left out."""
    given = fixed[option.dest]
    return (*((str(given),) if given else ()), *(("",) if option.default is None else ()))


def form_values(form: Mapping[str, str], fixed: Fixed) -> dict[str, Any]:
    """Values of our options in a form that was sent, by their names; those that it lacks are left out.

    Raises UsageError naming the option for what is no number, or not for the form to say.
    """
    return dict(_values(form, fixed))


def _values(form: Mapping[str, str], fixed: Fixed) -> Iterable[tuple[str, Any]]:
    for option in OPTIONS:
        field = _LIST_FIELDS.get(option.dest)
        if field is not None and field in form:
            items = (item.strip() for item in form[field].split(";"))
            yield option.dest, [item for item in items if item]
        if option.dest in form:
            # Locust takes any option from a form, also one that its page does not show.
            if not option.in_web:
                raise UsageError(f"{option.flag} is no field of this form.")
            if option.dest in fixed and form[option.dest] not in _kept(option, fixed):
                raise UsageError(
                    f'{option.flag}: "{form[option.dest]}" was not given on the command line, and '
                    "this page takes no other."
                )
            yield option.dest, _value(option, form[option.dest])


def _value(option: Option, text: str) -> Any:  # noqa: ANN401  any option's value
    if option.type == "flag":
        return text == "true"
    number = _NUMBERS.get(option.type)
    if text == "" and option.default is None:
        return None
    if number is None:
        return text
    try:
        return number(text)
    except ValueError:
        kind = "a whole number" if option.type == "int" else "a number"
        raise UsageError(f'{option.flag}: "{text}" is not {kind}.') from None
