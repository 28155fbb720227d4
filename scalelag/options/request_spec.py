"""The request that the options ask for."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from scalelag.errors import UsageError
from scalelag.options.checks import VARIABLE, check_json, parse_header
from scalelag.options.request_templates import Payloads, Row, read_rows

_FILES = ("body_file", "data")


class RequestSpec(msgspec.Struct, frozen=True):
    """The request that our own users send. `headers` still hold `${VARIABLE}`.

    With `rows`, path and body are templates that these fill in turn. Each request is for one of
    `models`, if there are any. `expect` is what a good answer holds.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    timeout_s: float
    expect: bytes | None = None
    rows: tuple[Row, ...] = ()
    models: tuple[str, ...] = ()

    def headers_with_secrets(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Headers as sent. Raises UsageError where a variable is not set."""

        def value_of(match: re.Match[str]) -> str:
            if match[1] not in environ:
                raise UsageError(f"--header names ${{{match[1]}}}, which is not set.")
            return environ[match[1]]

        return {name: VARIABLE.sub(value_of, value) for name, value in self.headers}

    def payloads(self) -> Payloads:
        """Path and body of each request. Raises UsageError where they are templates that fit no row."""
        return Payloads(self.path, self.body, self.rows)


def read_files(values: Mapping[str, Any]) -> dict[str, bytes]:
    """Contents of the files that the options name, by option.

    The process that leads a run reads them and hands them on: others may run on machines that do
    not have them. Raises UsageError where one cannot be read.
    """
    found: dict[str, bytes] = {}
    for name in _FILES:
        if values[name]:
            try:
                found[name] = Path(values[name]).read_bytes()
            except OSError as error:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(f"{flag} {values[name]}: {error.strerror}.") from error
    return found


def asked_request(
    values: Mapping[str, Any], header: tuple[str, ...], files: Mapping[str, bytes]
) -> RequestSpec:
    """The request that the options' `values` ask for. Raises UsageError where they make none."""
    path, json_body = str(values["path"]), values["json_body"]
    if json_body and "body_file" in files:
        raise UsageError("--json-body and --body-file: give one of the two.")
    rows = read_rows(Path(values["data"]), files["data"]) if "data" in files else ()
    spec = RequestSpec(
        method=str(values["method"]).upper(),
        path=path if path.startswith("/") else f"/{path}",
        headers=_headers(header, is_json=bool(json_body)),
        body=json_body.encode() if json_body else files.get("body_file"),
        timeout_s=values["request_timeout"],
        expect=values["expect"].encode() if values["expect"] else None,
        rows=rows,
        models=_models(values["models"]),
    )
    if rows:
        spec.payloads().check(is_json=bool(json_body))
    elif json_body:
        try:
            check_json(json_body)
        except UsageError as error:
            raise UsageError(f"--json-body: {error}") from error
    return spec


def _headers(texts: tuple[str, ...], *, is_json: bool) -> tuple[tuple[str, str], ...]:
    headers = tuple(parse_header(text) for text in texts)
    if is_json and "content-type" not in {name.lower() for name, _ in headers}:
        headers += (("Content-Type", "application/json"),)
    return headers


def _models(text: str | None) -> tuple[str, ...]:
    models = tuple(model.strip() for model in (text or "").split(",")) if text else ()
    if any(not re.fullmatch(r"[!-~]+", model) for model in models):
        raise UsageError(f'--models "{text}": give model ids, separated by commas.')
    return models
