"""Path and body of each request: as the options give them, or filled in from rows of a data file."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import jinja2
import jinja2.meta
import msgspec

from scalelag.errors import UNREADABLE, UsageError
from scalelag.options.bounded_templates import BoundedTemplates
from scalelag.options.checks import NOT_IN_PATHS
from scalelag.plan.trace_rows import LONGEST_FIELD

Row = dict[str, Any]

MODEL_HEADER = "serve_multiplexed_model_id"
"""Header in which Serve looks for the model of a request."""

_MAX_ROWS = 100_000
_MAX_DEPTH = 100
# Integers of msgpack, in which Locust sends messages.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_ROW = "row"
# JSON texts may have U+2028 and such in them, at which str.splitlines() ends a line, too.
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_TEMPLATES = BoundedTemplates()


class Payload(msgspec.Struct, frozen=True):
    """Path and body of one request."""

    path: str
    body: bytes | None


class Payloads:
    """Payloads by number: `path` and `body` as they are, or templates of Jinja2, filled from `rows`.

    A template names columns, as in `{"text": {{ text | tojson }}}`, or the whole `row`.
    """

    def __init__(self, path: str, body: bytes | None, rows: Sequence[Row] = ()) -> None:
        """Raise UsageError if a template is malformed, or names a column that the rows do not have."""
        self._fixed = Payload(path, body)
        self._rows = rows
        if rows:
            text = None if body is None else _text(body)
            self._path = _template("--path", path, rows[0])
            self._body = None if text is None else _template("the body", text, rows[0])
            self._uses_rows = bool(_names_in(path) or _names_in(text or ""))

    @property
    def is_fixed(self) -> bool:
        """True if all payloads are the same."""
        return not self._rows

    def of(self, number: int) -> Payload:
        """Return the payload of request `number`, from 0. The first row follows the last one."""
        if not self._rows:
            return self._fixed
        row = self._rows[number % len(self._rows)]
        values = {**row, _ROW: row}
        body = None if self._body is None else _TEMPLATES.render(self._body, values).encode()
        return Payload(_TEMPLATES.render(self._path, values), body)

    def check(self, *, is_json: bool) -> None:
        """Fill in every row once. Raises UsageError that names the first row that cannot be used."""
        for number in range(len(self._rows)):
            try:
                payload = self.of(number)
                if is_json and payload.body is not None:
                    msgspec.json.decode(payload.body)
            except (
                *(jinja2.TemplateError, *UNREADABLE),
                *(ArithmeticError, LookupError, RecursionError, TypeError, ValueError),
            ) as error:
                raise UsageError(f"--data row {number + 1} makes no request: {error}.") from error
            if NOT_IN_PATHS.search(payload.path):
                raise UsageError(
                    f'--data row {number + 1} makes the path "{payload.path}", which has a space, a '
                    "line break, a control character or #: write {{ name | urlencode }}."
                )

    def check_use(self) -> None:
        """Raise UsageError if there are rows, and neither path nor body takes anything from them."""
        if self._rows and not self._uses_rows:
            raise UsageError(
                "--data: neither path nor body names a column, so every request would be the same. "
                f"Write {{{{ name }}}} where a value goes; there are {_shown(self._rows[0])}."
            )


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"With --data the body is a template, so it must be UTF-8: {error}."
        ) from error


def _template(where: str, text: str, row: Row) -> jinja2.Template:
    try:
        names = _names_in(text)
        template = _TEMPLATES.from_string(text)
    except jinja2.TemplateError as error:
        raise UsageError(f"{where} is not a valid template: {error}.") from error
    if missing := sorted(names - row.keys() - {_ROW}):
        raise UsageError(
            f"{where} names {{{{ {missing[0]} }}}}, and --data has no such column: it has "
            f"{_shown(row)}."
        )
    return template


def _names_in(text: str) -> set[str]:
    """Return the names that a template is filled in from."""
    return jinja2.meta.find_undeclared_variables(_TEMPLATES.parse(text))


def _shown(row: Row) -> str:
    """Return the names of columns for a message."""
    return ", ".join(sorted(row))


def read_rows(file: Path, content: bytes) -> tuple[Row, ...]:
    """Return the rows of a CSV file with a header line, or of JSON Lines with one object a line.

    Raises UsageError that names the first line that cannot be used.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--data {file}: the file is not UTF-8 text: {error}.") from error
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise UsageError(f"--data {file}: give a .csv, .jsonl or .ndjson file.")
    if not text.strip():
        raise UsageError(f"--data {file}: the file is empty.")
    rows: list[Row] = []
    for row in reader(file, text):
        rows.append(row)
        if len(rows) > _MAX_ROWS:
            raise UsageError(f"--data {file}: the file has more than {_MAX_ROWS:,} rows.")
    if not rows:
        raise UsageError(f"--data {file}: the file has no rows.")
    if not rows[0]:
        raise UsageError(f"--data {file}: the first row has no values with a name.")
    return tuple(rows)


def _csv_rows(file: Path, text: str) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        reader.fieldnames = names = _column_names(file, reader.fieldnames or ())
        for row in reader:
            # DictReader puts surplus values under None, and None in place of missing ones.
            if None in row or None in row.values():
                raise UsageError(
                    f"--data {file} line {reader.line_num}: the number of columns is not "
                    f"{len(names)}, as in the first line."
                )
            row.pop("", None)
            yield row
    except csv.Error as error:
        raise UsageError(f"--data {file} after line {reader.line_num}: {error}.") from error


def _column_names(file: Path, first_line: Sequence[str]) -> list[str]:
    """Return the names of columns, empty for one without a name, which no template can use."""
    names = [name.strip() for name in first_line]
    if not any(names):
        raise UsageError(
            f"--data {file}: the first line names no column. It reads such as id,text: the names that "
            "path and body have in {{ }}."
        )
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise UsageError(f'--data {file}: two columns are named "{twice}": rename one.')
    return names


def _json_rows(file: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(_LINE_ENDS.split(text), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
            _check_value(row)
        except UNREADABLE as error:
            raise UsageError(f"--data {file} line {number}: not a JSON object: {error}.") from error
        except UsageError as error:
            raise UsageError(f"--data {file} line {number}: {error}.") from error
        yield row


def _check_value(value: Any, depth: int = 0) -> None:  # noqa: ANN401  any value of JSON
    """Raise UsageError for a value that no message can take to the workers."""
    if depth > _MAX_DEPTH:
        raise UsageError(f"lists and objects are nested more than {_MAX_DEPTH} deep")
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        raise UsageError("an integer has more than 64 bits: write it in quotes, as text")
    if isinstance(value, dict | list):
        inner = cast("dict[str, Any] | list[Any]", value)
        for one in inner.values() if isinstance(inner, dict) else inner:
            _check_value(one, depth + 1)
