"""The start form on Locust's page: its sections, fields and words."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from scalelag.options.catalog import OPTIONS
from scalelag.options.option import Option
from scalelag.plugin.web.form_values import LIST_FIELDS, Fixed, in_words, kept_choices

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


_TRACE = "Trace"

# Until the options themselves say in which section they stand, and what they are called there.
_SECTIONS: dict[str, dict[str, str]] = {
    "Test": {
        "steps": "Load plan",
        "host": "Host",
        "dashboard": "Ray dashboard",
        "path": "Path",
        "deployment": "Deployments",
        "gate": "Gates",
    },
    "Load": {
        "arrivals": "Arrivals",
        "repeat": "Repeat the plan",
        "seed": "Seed of Poisson arrivals",
        "max_in_flight": "Maximum open requests",
        "warmup": "Warm-up (s)",
    },
    _TRACE: {
        "trace": "Trace file",
        "trace_column": "Column",
        "trace_kind": "Kind of column",
        "trace_time_column": "Time column",
    },
    "Request": {
        "method": "HTTP method",
        "json_body": "JSON body",
        "body_file": "Body from a file",
        "data": "Data file",
        "models": "Multiplexed models",
        "expect": "Text of a good answer",
        "request_timeout": "Request timeout (s)",
    },
    "gRPC": {
        "grpc_host": "gRPC address",
        "grpc_method": "gRPC method",
        "grpc_module": "Module of generated code",
    },
    "Cluster": {
        "wait": "Wait for the target (s)",
        "wait_for_room": "Wait for room (s)",
        "dashboard_ca": "CA of the dashboard",
        "insecure": "Do not check the dashboard's certificate",
    },
    "Measurement": {
        "drain": "Watch after the load (s)",
        "probe_rate": "Polls per second",
        "observer_budget": "Controller time for polling",
        "slo": "Latency objective (SLO)",
        "capacity_rps": "Capacity of a replica (requests/s)",
    },
    "Result": {
        "name": "Name of the run",
        "strict": "Fail the run if a gate is inconclusive",
        "out": "Folder of the runs",
    },
}
_HOST = Field("host", "Host", "URL at which Serve answers HTTP.", tests="all")
_OTHERS = "Other options"
_THEIRS = "Options of the locustfile"
_BY_DEST = {option.dest: option for option in OPTIONS}


def sections(parsed: Mapping[str, Any], locust: LocustForm, fixed: Fixed) -> list[Section]:
    """Sections of the form with the values of the last test: the most important one first.

    Of the `fixed` options only those that were given, to be used or left out.
    """
    tables = _SECTIONS | {_OTHERS: {dest: _plain_label(dest) for dest in _unplaced()}}
    ours = [_section(title, names, parsed, locust, fixed) for title, names in tables.items()]
    first, *more = (section for section in ours if section.fields)
    if not fixed.get("trace"):
        more = [section for section in more if section.title != _TRACE]
    theirs = tuple(_their_fields(locust.extra_options, fixed))
    open_sections = (
        msgspec.structs.replace(first, is_open=True),
        Section("Users", tuple(_user_fields(locust)), is_open=True),
        *([Section(_THEIRS, theirs, is_open=True)] if theirs else ()),
    )
    return [*open_sections, *more, Section("Locust", (_profile(locust),))]


def _unplaced() -> Iterable[str]:
    """Options that stand in no section of the table."""
    placed = {dest for labels in _SECTIONS.values() for dest in labels}
    return (option.dest for option in OPTIONS if option.in_web and option.dest not in placed)


def _plain_label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def label_of(name: str) -> str | None:
    """The label of a field, or of an option by its `dest`; None if the form has no such field."""
    labels = {dest: label for labels in _SECTIONS.values() for dest, label in labels.items()}
    dest = {field: dest for dest, field in LIST_FIELDS.items()}.get(name, name)
    unplaced = {name: _plain_label(name) for name in _unplaced()}
    return (labels | unplaced).get(dest)


def _section(
    title: str,
    labels: Mapping[str, str],
    parsed: Mapping[str, Any],
    locust: LocustForm,
    fixed: Fixed,
) -> Section:
    fields: list[Field] = []
    for dest, label in labels.items():
        if dest == "host":
            fields.append(msgspec.structs.replace(_HOST, value=locust.host))
        elif (option := _BY_DEST.get(dest)) is not None:
            fields += _option_fields(option, label, parsed.get(dest), fixed)
    return Section(title, tuple(fields))


def _option_fields(
    option: Option,
    label: str,
    value: Any,  # noqa: ANN401  any option's value
    fixed: Fixed,
) -> Iterable[Field]:
    """The field of one option; none for a fixed option that was not given."""
    help_text = in_words(option.help, label_of).replace("`", "")
    if option.dest in LIST_FIELDS:
        help_text = help_text.replace("Can be repeated.", "Separate several with ;")
        yield Field(LIST_FIELDS[option.dest], label, help_text, value="; ".join(value or ()))
    elif option.in_web and option.dest not in fixed:
        value = "" if value is None else value
        yield Field(option.dest, label, help_text, _kind(option), value, option.choices)
    elif option.in_web and fixed[option.dest]:
        value = "" if value is None else value
        yield Field(option.dest, label, help_text, "choice", value, kept_choices(option, fixed))


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
            _plain_label(name),
            help_text,
            kind,
            "" if value is None else value,
            tuple(map(str, choices or ())),
            tests="all",
            is_required=bool(option.get("is_required")),
        )
