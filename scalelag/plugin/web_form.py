"""Our options in the form with which a test is started on Locust's page."""

from collections.abc import Iterable, Mapping
from typing import Any

from scalelag.errors import UsageError
from scalelag.plugin.options import OPTIONS, Option

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


def form_fields(parsed: Mapping[str, Any], others: Mapping[str, Field]) -> dict[str, Field]:
    """The fields of the form: ours with what was asked for last, the most used first; then `others`."""
    ours: dict[str, Field] = {}
    for option in OPTIONS:
        if option.dest in _LIST_FIELDS:
            ours[_LIST_FIELDS[option.dest]] = _field(
                option.help.replace(
                    "Can be repeated.", "Several: one after the other, with ; between."
                ),
                "; ".join(parsed.get(option.dest) or ()),
            )
        elif option.in_web and option.type != "list":
            value = parsed.get(option.dest)
            field = _field(option.help, "" if value is None else value)
            field |= {"choices": list(option.choices)} if option.choices else {}
            field |= {"type": "number"} if option.type == "int" else {}
            ours[option.dest] = field
    names = [*_FIRST, *(name for name in ours if name not in _FIRST)]
    return {name: ours[name] for name in names} | {
        name: field for name, field in others.items() if name not in ours
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


def form_values(form: Mapping[str, str]) -> dict[str, Any]:
    """Values of our options in a form that was sent, by their names; those that it lacks are left out.

    Raises UsageError naming the option for what is no number, or none of its choices.
    """
    return dict(_values(form))


def _values(form: Mapping[str, str]) -> Iterable[tuple[str, Any]]:
    for option in OPTIONS:
        field = _LIST_FIELDS.get(option.dest)
        if field is not None and field in form:
            items = (item.strip() for item in form[field].split(";"))
            yield option.dest, [item for item in items if item]
        elif option.in_web and option.type != "list" and option.dest in form:
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
