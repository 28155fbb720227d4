"""Request of our own users, made from the options."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from scalelag.errors import UsageError
from scalelag.options.checks import VARIABLE, check_json, parse_header
from scalelag.options.request_templates import Payloads, Row, read_rows
from scalelag.record.input_file import read_file
from scalelag.record.secrets import hide_url_secrets

_FILES = ("body_file", "data")
_MAX_FILE_BYTES = 512 * 1024 * 1024
_COLUMN = re.compile(r"\{\{.*?\}\}")


class RequestSpec(msgspec.Struct, frozen=True):
    """Request that our own users send. `headers` still hold `${VARIABLE}`.

    `given_name` is that of a request of a mix. With `rows`, path and body are templates, and each
    request takes the next row. Requests take turns through `models`, if there are any. Every good
    answer contains `expect`. `is_json`: the body was given as JSON text.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    timeout_s: float
    expect: bytes | None = None
    rows: tuple[Row, ...] = ()
    models: tuple[str, ...] = ()
    is_json: bool = False
    given_name: str | None = None

    @property
    def name(self) -> str:
        """Name of the request in the record: else its path, without secrets in the query."""
        return self.given_name or hide_url_secrets(self.path)

    @property
    def is_fixed(self) -> bool:
        """True if every request is the same."""
        return not self.rows and len(self.models) < 2

    def name_with(self, model: str | None) -> str:
        """Name of a request for `model`; those of a mix have names of their own."""
        return self.name if model is None or self.given_name else f"{self.name} {model}"

    @property
    def sha256(self) -> str:
        """Hash of what its method, path and model do not tell: headers as given, body, data, answer."""
        content = (self.headers, self.body, self.rows, self.expect)
        return hashlib.sha256(msgspec.msgpack.encode(content)).hexdigest()

    def headers_with_secrets(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the headers as sent. Raises UsageError as `filled_headers` does."""
        of = f'header of [[request]] "{self.given_name}"' if self.given_name else "--header"
        return filled_headers(self.headers, environ, of)

    def payloads(self) -> Payloads:
        """Return path and body of each request. Raises UsageError for a template that fits no row."""
        return Payloads(self.path, self.body, self.rows)

    def check_rows_used(self) -> None:
        """Raise UsageError if there are rows that path and body take nothing from."""
        self.payloads().check_use()


def headers_of(texts: Iterable[str], environ: Mapping[str, str], flag: str) -> dict[str, str]:
    """Return the headers of options that were not parsed. Raises UsageError that names `flag`."""
    try:
        headers = [parse_header(text) for text in texts]
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from error
    return filled_headers(headers, environ, flag)


def filled_headers(
    headers: Iterable[tuple[str, str]], environ: Mapping[str, str], flag: str
) -> dict[str, str]:
    """Return headers with the values of their variables.

    Raises UsageError that names `flag` if `environ` lacks a variable, its value cannot be sent, or two
    headers have one name.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise UsageError(f"{flag} names ${{{match[1]}}}, which is not set.")
        # A file's last line break is no part of a secret.
        value = environ[match[1]].rstrip("\r\n")
        if set(value) & set("\r\n\0"):
            raise UsageError(f"{flag}: ${{{match[1]}}} has a line break, which no header may have.")
        return value

    filled: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in {one.lower() for one in filled}:
            raise UsageError(
                f"{flag} {name} is given twice, and one of them would be lost. Give it once, such as "
                f'"{name}: a, b".'
            )
        filled[name] = VARIABLE.sub(value_of, value)
    return filled


def read_files(values: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the contents of the files that the options name, by option.

    Only the leader reads them: workers may run on machines that do not have them. Raises UsageError
    if one cannot be read.
    """
    found: dict[str, bytes] = {}
    for name in _FILES:
        if values[name]:
            try:
                found[name] = _read(Path(values[name]))
            except (OSError, ValueError) as error:  # ValueError: a NUL in the name
                flag = f"--{name.replace('_', '-')}"
                reason = getattr(error, "strerror", None) or str(error)
                raise UsageError(f"{flag} {values[name]!s}: {reason}.") from error
    return found


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise ValueError(f"it has {size:,} bytes, more than {_MAX_FILE_BYTES:,}")
    return read_file(path)


def asked_request(values: Mapping[str, Any], files: Mapping[str, bytes]) -> RequestSpec:
    """Return the request that the parsed `values` ask for. Raises UsageError if they make none."""
    json_body = values["json_body"]
    if json_body and "body_file" in files:
        raise UsageError("--json-body and --body-file: give one of the two.")
    rows = read_rows(Path(values["data"]), files["data"]) if "data" in files else ()
    spec = RequestSpec(
        method=values["method"],
        path=values["path"],
        headers=_headers(values["header"], is_json=bool(json_body)),
        body=json_body.encode() if json_body else files.get("body_file"),
        timeout_s=values["request_timeout"],
        expect=values["expect"] or None,
        rows=rows,
        models=values["models"] or (),
        is_json=bool(json_body),
    )
    _refuse_unfilled(spec)
    if rows:
        spec.payloads().check(is_json=spec.is_json)
    elif json_body:
        try:
            check_json(json_body)
        except UsageError as error:
            raise UsageError(f"--json-body: {error}") from error
    return spec


def _refuse_unfilled(spec: RequestSpec) -> None:
    """Raise UsageError for a column where nothing fills it in: it would be sent as text."""
    if not spec.rows and (match := _COLUMN.search(spec.path)):
        raise UsageError(f"--path has {match[0]}, and nothing fills it in: give --data.")
    for name, value in spec.headers if spec.rows else ():
        if match := _COLUMN.search(value):
            raise UsageError(
                f"--header {name} has {match[0]}: columns of --data fill in path and body only."
            )


def _headers(headers: tuple[tuple[str, str], ...], *, is_json: bool) -> tuple[tuple[str, str], ...]:
    if is_json and "content-type" not in {name.lower() for name, _ in headers}:
        headers += (("Content-Type", "application/json"),)
    return headers
