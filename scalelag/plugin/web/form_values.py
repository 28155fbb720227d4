"""Our options in a start form that was sent: their values, and errors in the words of the form."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from probes.dashboard import TOKEN_VARIABLES
from scalelag.cluster.urls import hide_credentials
from scalelag.errors import UsageError
from scalelag.foreign import shortened
from scalelag.options.catalog import OPTIONS
from scalelag.options.checks import VARIABLE
from scalelag.options.option import Option
from scalelag.record.secrets import HIDERS

_NUMBERS = {"int": int, "float": float}
LIST_FIELDS = {"deployment": "deployments", "slo": "slos", "gate": "gates"}
"""Options that can be repeated are fields of their own: Locust cannot read lists from a form."""

Fixed = Mapping[str, Any]
"""Options that the form cannot change, with the values that Locust was started with."""

_LOCUSTS_FIELDS = frozenset(
    {"user_count", "spawn_rate", "host", "user_classes", "shape_class", "run_time", "profile"}
)
"""Locust's own fields in a form."""

_FLAG = re.compile(r"--[a-z][a-z-]*")


class Refusal(msgspec.Struct, frozen=True):
    """Reason why a test cannot start, and the field of the form that it stands at, if any."""

    message: str
    field: str | None = None


def fixed_options(parsed: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Options that whoever reaches the page must not change, with the values given at the start.

    Those are options that name a file or code of this machine. The dashboard is one if there is a
    token for it, a user in its URL or a header for it, since it would be sent them. Prometheus is
    one if its URL has a user, the gRPC address if a request has a secret, and path and body if they
    have one.
    """
    has_token = any(environ.get(name) for name in TOKEN_VARIABLES)
    has_secret = (
        has_token or bool(parsed.get("dashboard_header")) or _has_secret(parsed, "dashboard")
    )
    return {
        option.dest: parsed.get(option.dest)
        for option in OPTIONS
        if option.is_local
        or (option.dest == "dashboard" and has_secret)
        or (option.dest == "prometheus" and _has_secret(parsed, "prometheus"))
        or (option.dest == "grpc_host" and sends_secrets(parsed))
        or (option.dest in HIDERS and _has_secret(parsed, option.dest))
    }


def shown_value(dest: str, value: str) -> str:
    """Return the value of an option fit for the page: without secrets."""
    return HIDERS.get(dest, hide_credentials)(value)


def _has_secret(parsed: Mapping[str, Any], dest: str) -> bool:
    value = str(parsed.get(dest) or "")
    return shown_value(dest, value) != value


def sends_secrets(parsed: Mapping[str, Any]) -> bool:
    """Return True if requests have headers that are filled from this machine's environment.

    So it is with a secret in path or body: one that no record shows.
    """
    texts: list[str] = list(parsed.get("header") or ())
    if path := parsed.get("requests"):
        with suppress(OSError):  # a file that cannot be read is refused before the load
            texts.append(Path(path).read_text(encoding="utf-8", errors="replace"))
    given = any(_has_secret(parsed, dest) for dest in HIDERS)
    in_file = any(hide(text) != text for text in texts for hide in HIDERS.values())
    return given or in_file or any(VARIABLE.search(text) for text in texts)


def check_names(form: Iterable[str], parsed: Mapping[str, Any], shown: Collection[str]) -> None:
    """Raise UsageError if a form sets an option of Locust that the page does not show.

    Locust takes any option from a form, and with `html_file` writes a file. `shown` are the options
    of the locustfile on the page.
    """
    ours = {option.dest for option in OPTIONS} | set(LIST_FIELDS.values())
    for name in form:
        if (
            name in parsed
            and name not in _LOCUSTS_FIELDS
            and name not in ours
            and name not in shown
        ):
            raise UsageError(f"--{name.replace('_', '-')} is not a field of this form.")


def kept_choices(option: Option, fixed: Fixed) -> tuple[str, ...]:
    """Values that the form may send for a fixed option: the given one, and none if it is optional."""
    given = fixed[option.dest]
    return (
        *((shown_value(option.dest, str(given)),) if given else ()),
        *(("",) if option.default is None else ()),
    )


def form_values(form: Mapping[str, str], fixed: Fixed) -> dict[str, Any]:
    """Values of our options in a form that was sent, by `dest`; options that it lacks are left out.

    Raises UsageError that names the option if a value is not a number, or if the form may not set it.
    """
    return dict(_values(form, fixed))


def _values(form: Mapping[str, str], fixed: Fixed) -> Iterable[tuple[str, Any]]:
    for option in OPTIONS:
        field = LIST_FIELDS.get(option.dest)
        if field is not None and field in form:
            items = (item.strip() for item in form[field].split(";"))
            yield option.dest, [item for item in items if item]
        if option.dest in form:
            # Locust takes any option from a form, also one that its page does not show.
            if not option.in_web:
                raise UsageError(f"{option.flag} is not a field of this form.")
            if option.dest in fixed and form[option.dest] not in kept_choices(option, fixed):
                raise UsageError(
                    f'{option.flag}: "{shortened(form[option.dest])}" was not given on the command '
                    "line, and this page takes no other."
                )
            is_kept = option.dest in fixed and form[option.dest] != ""
            text = str(fixed[option.dest]) if is_kept else form[option.dest]
            yield option.dest, _value(option, text)


def _value(option: Option, text: str) -> Any:  # noqa: ANN401  any option's value
    if option.type == "flag":
        if text not in ("true", "false"):
            raise UsageError(f'{option.flag}: "{shortened(text)}" is neither true nor false.')
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
        raise UsageError(f'{option.flag}: "{shortened(text)}" is not {kind}.') from None


def refusal_of(
    message: str, label_of: Callable[[str], str | None], values: Iterable[tuple[str, str]]
) -> Refusal:
    """Return `message` as a refusal at its field, with labels in place of flags.

    A message that names no option belongs to the first field of `values` whose value it holds.
    """
    given = [(name, shortened(value), value) for name, value in values if value]
    for _, short, value in given:
        message = message.replace(value, short)
    named = [flag[2:].replace("-", "_") for flag in _FLAG.findall(message)]
    field = next((LIST_FIELDS.get(dest, dest) for dest in named if label_of(dest)), None)
    if field is None:
        field = next((name for name, short, _ in given if short in message), None)
    # "--steps: unknown unit": the field says which it is.
    flag, colon, rest = message.partition(": ")
    if colon and _FLAG.fullmatch(flag) and label_of(named[0]):
        message = rest

    return Refusal(in_words(message, label_of), field)


def in_words(text: str, label_of: Callable[[str], str | None]) -> str:
    """Return `text` with the label of the field in place of each flag that has one."""

    def words(found: re.Match[str]) -> str:
        label = label_of(found.group()[2:].replace("-", "_"))
        return f"“{label}”" if label else found.group()

    return _FLAG.sub(words, text)
