"""Requests of a mix: the `[[request]]` tables of a TOML file, and `mix`, their weights by stage."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import msgspec

from scalelag.errors import UsageError
from scalelag.options.catalog import OPTIONS, default_of, option_of
from scalelag.options.option import parse_option, refuse_empty
from scalelag.options.prompt_catalog import PROMPT_OPTIONS
from scalelag.options.request_spec import RequestSpec, asked_request, read_files
from scalelag.options.toml_file import MIX_KEYS, nearest, read_table
from scalelag.plan.mix import Mix
from scalelag.plan.stages import Arrivals
from scalelag.record.secrets import hide_url_secrets

_MOST_REQUESTS = 100
_LEAST_WEIGHT, _MOST_WEIGHT = 0.000_001, 1_000_000
_LONGEST_NAME = 100
_TEXTS = ("path", "method", "json_body", "body_file", "data", "expect")
_SHOWN = 100  # characters of a value in a message
_OTHERS = ("name", "header", "model", "weight", "arrivals")
_KNOWN = tuple(name.replace("_", "-") for name in (*_OTHERS, *_TEXTS))
# What the tables say of each request, and an option would say of all.
_NOT_BESIDE = (*_TEXTS, "models", *(one.dest for one in PROMPT_OPTIONS))
# Messages of options name flags; in a table they are keys.
_FLAG = re.compile(r"--(?=(?:path|method|header|json-body|body-file|data|expect|models)\b)")

Table = Mapping[str, Any]


class _Request(msgspec.Struct, frozen=True):
    """A `[[request]]` table, checked. `weight` is None if it gives none."""

    spec: RequestSpec
    weight: float | None
    arrivals: Arrivals


def asked_mix(values: Mapping[str, Any]) -> tuple[tuple[RequestSpec, ...], Mix]:
    """Return the requests of the file in the parsed `values`, and their mix.

    The headers of `values` go with every request. Raises UsageError that names the file, the table
    and what to do.
    """
    for name in _NOT_BESIDE:
        # Locust's parser does not tell a default that was written out from one that was not.
        if values[name] not in (parse_option(option_of(name), default_of(name)), None, ()):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} and the [[request]] tables of {values['requests']}: give one of the two. "
                "Requests of a mix are as their tables say."
            )
    path = Path(values["requests"])
    if not path.is_file():
        raise UsageError(f"--requests {path}: there is no such file.")
    try:
        table = _known_keys(read_table(path) or {})
        tables = _tables(table.get("request"))
        requests = [_request(one, path.parent, values, n) for n, one in enumerate(tables, 1)]
        names = _names([request.spec.name for request in requests])
        weights = _weights(requests, names, table.get("mix"))
    except UsageError as error:
        text = str(error)
        raise UsageError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    arrivals: tuple[Arrivals, ...] = tuple(request.arrivals for request in requests)
    return tuple(request.spec for request in requests), Mix(names, arrivals, weights)


def _known_keys(table: Table) -> Table:
    """Return `table`. Raises UsageError for a key that looks like one of ours and is not."""
    options = {option.dest for option in OPTIONS}
    for key in table.keys() - set(MIX_KEYS):
        hint = nearest(key, MIX_KEYS, "")
        if hint and key.replace("-", "_") not in options:
            raise UsageError(f'there is no "{key}"; {hint}')
    return table


def _tables(found: object) -> Sequence[Table]:
    """Return the tables of requests. Raises UsageError for anything else, or too many."""
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in _list(found)):
        raise UsageError(
            "there is no [[request]]: begin each request with it, and give it a name and a path."
        )
    tables = cast("list[Table]", found)
    if not 0 < len(tables) <= _MOST_REQUESTS:
        raise UsageError(
            f"there are {len(tables)} [[request]] tables: give at least one and at most "
            f"{_MOST_REQUESTS}."
        )
    return tables


def _list(found: object) -> list[object]:
    return cast("list[object]", found)


def _request(table: Table, folder: Path, values: Mapping[str, Any], number: int) -> _Request:
    """Return one request. Raises UsageError that names its table."""
    name = table.get("name")
    told = f' "{name[:_SHOWN]}"' if isinstance(name, str) else ""
    where = f"[[request]] {number}{told}"
    try:
        given = _given(table)
        weight = _weight(given["weight"], least=_LEAST_WEIGHT) if "weight" in given else None
        arrivals = _arrivals(given.get("arrivals", values["arrivals"]))
        return _Request(_spec(given, folder, values), weight, arrivals)
    except UsageError as error:
        raise UsageError(f"{where}: {_FLAG.sub('', str(error))}") from error


def _given(table: Table) -> dict[str, Any]:
    """Return the values of a table by names with underscores, all of the right kind."""
    given: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in _KNOWN:
            hint = nearest(name, _KNOWN, f"there are {', '.join(_KNOWN)}.")
            raise UsageError(f'there is no key "{key}"; {hint}')
        if name.replace("-", "_") in given:
            raise UsageError(f"{key} is given twice, with - and with _.")
        _check_kind(name, value)
        given[name.replace("-", "_")] = value
    return given


def _check_kind(name: str, value: object) -> None:
    if name == "weight":
        return
    if name == "header":
        if not isinstance(value, list) or not all(isinstance(one, str) for one in _list(value)):
            raise UsageError('header takes a list of texts, such as ["X-Tenant: a"].')
    elif not isinstance(value, str):
        raise UsageError(f"{name} takes a text in quotes.")
    elif "\0" in value:
        raise UsageError(f"{name} has a NUL character in it.")


def _weight(value: object, *, least: float) -> float:
    """Return a weight: 0 if that is `least`, else a number that is neither tiny nor huge."""
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (value == least or _LEAST_WEIGHT <= value <= _MOST_WEIGHT)
    ):
        return float(value)
    shown = "0" if least == 0 else f"{least:f}"
    told = f'"{value}"' if isinstance(value, str) else value
    how = ", without quotes" if isinstance(value, str) else ""
    raise UsageError(
        f"weight {str(told)[:_SHOWN]}: give a number from {shown} to {_MOST_WEIGHT:,}{how}."
    )


def _spec(given: Mapping[str, Any], folder: Path, values: Mapping[str, Any]) -> RequestSpec:
    for name in _TEXTS:
        refuse_empty(option_of(name), given.get(name))
    parsed = {name: parse_option(option_of(name), given.get(name)) for name in _TEXTS}
    parsed |= {
        "path": parsed["path"] or "/",
        "method": parsed["method"] or "GET",
        "header": _headers(given.get("header", ()), values["header"]),
        "models": _model(given.get("model")),
        "request_timeout": values["request_timeout"],
    }
    for name in ("body_file", "data"):
        if parsed[name]:
            parsed[name] = str(folder / parsed[name])
    name = _name(given.get("name", hide_url_secrets(parsed["path"])))
    request = asked_request(parsed, read_files(parsed))
    request.check_rows_used()
    return msgspec.structs.replace(request, given_name=name)


def _headers(
    texts: Iterable[str], shared: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request, and those of all requests that it does not set itself."""
    own = tuple(parse_option(option_of("header"), text) for text in texts)
    names = {name.lower() for name, _ in own}
    return (*(one for one in shared if one[0].lower() not in names), *own)


def _model(text: str | None) -> tuple[str, ...] | None:
    models = parse_option(option_of("models"), text)
    if text is not None and len(models or ()) != 1:
        raise UsageError(
            f'model "{text[:_SHOWN]}": give one model. Others are requests of their own.'
        )
    return models


def _arrivals(text: str) -> Arrivals:
    for kind in get_args(Arrivals):
        if text == kind:
            return kind
    raise UsageError(f"arrivals {text[:_SHOWN]}: choose {' or '.join(get_args(Arrivals))}.")


def _name(name: str) -> str:
    if not name.strip() or name != name.strip() or len(name) > _LONGEST_NAME:
        raise UsageError(
            f'name "{name[:_LONGEST_NAME]}": give up to {_LONGEST_NAME} characters, and no spaces at '
            "the ends."
        )
    if not name.isprintable():
        raise UsageError("name has a line break or another control character in it.")
    return name


def _names(names: Sequence[str]) -> tuple[str, ...]:
    for number, name in enumerate(names, 1):
        if (first := names.index(name) + 1) < number:
            raise UsageError(
                f'[[request]] {number} "{name}": number {first} has this name, too. Give each a name '
                "of its own."
            )
    return tuple(names)


def _weights(
    requests: Sequence[_Request], names: tuple[str, ...], mix: object
) -> tuple[tuple[float, ...], ...]:
    """Return the weights by stage: those of `mix`, or those of the requests for all stages."""
    if mix is None:
        return (tuple(1.0 if one.weight is None else one.weight for one in requests),)
    if not isinstance(mix, list) or not mix or not all(isinstance(o, dict) for o in _list(mix)):
        raise UsageError(
            "mix takes a list of tables, one for each stage: mix = [{ a = 7, b = 3 }]."
        )
    if weighed := [one.spec.name for one in requests if one.weight is not None]:
        raise UsageError(
            f'weight of [[request]] "{weighed[0]}" and mix: give one of the two. mix has the weights '
            "of each stage."
        )
    rows = [_row(one, names, stage) for stage, one in enumerate(cast("list[Table]", mix), 1)]
    for number, name in enumerate(names):
        if not any(row[number] for row in rows):
            raise UsageError(
                f'[[request]] "{name}" has a weight in no stage of mix, so it would never be sent: '
                "give it one, or take it out."
            )
    return tuple(rows)


def _row(weights: Table, names: tuple[str, ...], stage: int) -> tuple[float, ...]:
    """Weights of one stage; a request that is not named is not sent in it."""
    for name in weights.keys() - set(names):
        hint = nearest(name, names, f"there are {', '.join(names)}.")
        raise UsageError(f'mix of stage {stage}: there is no [[request]] "{name}"; {hint}')
    try:
        row = tuple(_weight(weights.get(name, 0), least=0) for name in names)
    except UsageError as error:
        raise UsageError(f"mix of stage {stage}: {error}") from error
    if not any(row):
        raise UsageError(
            f"mix of stage {stage}: no request has a weight above 0. Give one to some."
        )
    return row
