"""The start form on Locust's page: its sections, fields and words."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from scalelag.cluster.urls import hide_credentials
from scalelag.options.catalog import OPTIONS
from scalelag.options.option import Option
from scalelag.plugin.web.form_values import LIST_FIELDS, Fixed, in_words, kept_choices, shown_value

Kind = Literal["text", "number", "flag", "choice", "choices", "secret"]


class Field(msgspec.Struct, frozen=True):
    """One input of the form; `name` is what its value is sent as.

    `tests` are those that need it: tests that follow the load `plan`, tests with Locust's own `users`
    and spawn rate, or `all`.
    """

    name: str
    label: str
    help: str = ""
    kind: Kind = "text"
    value: Any = ""
    choices: tuple[str, ...] = ()
    tests: Literal["plan", "users", "all"] = "plan"
    is_required: bool = False


class Section(msgspec.Struct, frozen=True):
    """Fields under one title; those that are not open stand under "More options"."""

    title: str
    fields: tuple[Field, ...]
    is_open: bool = False


class LocustForm(msgspec.Struct, frozen=True):
    """Values of Locust's own fields, and the options that the locustfile has added, by name."""

    host: str = ""
    profile: str = ""
    profiles: tuple[str, ...] = ()
    users: int = 1
    spawn_rate: float = 1
    run_time: str = ""
    extra_options: Mapping[str, Mapping[str, Any]] = {}


_HOST = Field("host", "Host", "URL at which Serve answers HTTP.", tests="all")
_THEIRS = "Options of the locustfile"
_TRACE = "trace"
_BY_DEST = {option.dest: option for option in OPTIONS}


def sections(
    parsed: Mapping[str, Any], locust: LocustForm, fixed: Fixed, *, is_host_fixed: bool = False
) -> list[Section]:
    """Sections of the form with the values of the last test: the most important one first.

    Of the `fixed` options only those that were given, to be used or left out.
    """
    ranked = sorted((o for o in OPTIONS if o.form_rank is not None), key=lambda o: o.form_rank or 0)
    plan, *others = (field for o in ranked for field in _option_fields(o, parsed, fixed))
    first = (plan, _host(locust, is_fixed=is_host_fixed), *others)
    more = [
        Section(title, fields)
        for title in dict.fromkeys(option.section for option in OPTIONS)
        if (fields := tuple(_folded_fields(title, parsed, fixed)))
    ]
    theirs = tuple(_their_fields(locust.extra_options, fixed))
    open_sections = (
        Section("Test", first, is_open=True),
        Section("Users", tuple(_user_fields(locust)), is_open=True),
        *([Section(_THEIRS, theirs, is_open=True)] if theirs else ()),
    )
    return [*open_sections, *more, Section("Locust", (_profile(locust),))]


def label_of(name: str) -> str | None:
    """Return the label of a field, or of an option by its `dest`; None for what has no field."""
    if name == _HOST.name:
        return _HOST.label
    dest = {field: dest for dest, field in LIST_FIELDS.items()}.get(name, name)
    option = _BY_DEST.get(dest)
    return option.label if option and (option.in_web or dest in LIST_FIELDS) else None


def _host(locust: LocustForm, *, is_fixed: bool) -> Field:
    shown = hide_credentials(locust.host)
    if not is_fixed:
        return msgspec.structs.replace(_HOST, value=shown)
    return msgspec.structs.replace(_HOST, kind="choice", value=shown, choices=(shown,))


def _folded_fields(title: str, parsed: Mapping[str, Any], fixed: Fixed) -> Iterable[Field]:
    """Fields of one section under "More options"."""
    for option in OPTIONS:
        is_useless = _TRACE in (option.dest, option.needs) and not fixed.get(_TRACE)
        if option.section == title and option.form_rank is None and not is_useless:
            yield from _option_fields(option, parsed, fixed)


def _option_fields(option: Option, parsed: Mapping[str, Any], fixed: Fixed) -> Iterable[Field]:
    """The field of one option; none for a fixed option that was not given."""
    help_text = in_words(option.help, label_of).replace("`", "")
    value = parsed.get(option.dest)
    if option.dest in LIST_FIELDS:
        help_text = help_text.replace("Can be repeated.", "Separate several with ;")
        name, text = LIST_FIELDS[option.dest], "; ".join(value or ())
        yield Field(name, option.label, help_text, value=text)
        return
    value = "" if value is None else value
    if option.in_web and option.dest not in fixed:
        kind, choices = _kind(option), option.choices
        yield Field(option.dest, option.label, help_text, kind, value, choices)
    elif option.in_web and fixed[option.dest]:
        choices = kept_choices(option, fixed)
        shown = shown_value(option.dest, value) if isinstance(value, str) else value
        yield Field(option.dest, option.label, help_text, "choice", shown, choices)


def _kind(option: Option) -> Kind:
    if option.type in ("flag", "choice"):
        return option.type
    return "number" if option.type in ("int", "float") else "text"


def _user_fields(locust: LocustForm) -> Iterable[Field]:
    """Locust's own fields, for a test that does not follow the load plan."""
    fields: tuple[tuple[str, str, str, Kind, Any], ...] = (
        ("user_count", "Users", "Number of users at the peak.", "number", locust.users),
        ("spawn_rate", "Ramp-up", "Users started per second.", "number", locust.spawn_rate),
        ("run_time", "Run time", "For example 20s, 3m or 1h20m.", "text", locust.run_time),
    )
    for name, label, help_text, kind, value in fields:
        yield Field(name, label, help_text, kind, value, tests="users")


def _profile(locust: LocustForm) -> Field:
    help_text = "Locust's name for this test."
    return Field(
        "profile", "Profile", help_text, value=locust.profile, choices=locust.profiles, tests="all"
    )


def _their_fields(extra: Mapping[str, Mapping[str, Any]], fixed: Fixed) -> Iterable[Field]:
    """Fields of the options that the locustfile itself has added."""
    ours = {*_BY_DEST, *LIST_FIELDS.values(), *fixed}
    for name, option in extra.items():
        if name in ours:
            continue
        value, choices = option.get("default_value"), option.get("choices")
        kind: Kind = "text"
        if choices:
            kind = "choices" if option.get("is_multiple") else "choice"
        elif isinstance(value, bool):
            kind = "flag"
        elif option.get("is_secret"):
            kind = "secret"
        help_text = str(option.get("help_text") or "")
        yield Field(
            name,
            name.replace("_", " ").capitalize(),
            help_text,
            kind,
            "" if value is None else value,
            tuple(map(str, choices or ())),
            tests="all",
            is_required=bool(option.get("is_required")),
        )
