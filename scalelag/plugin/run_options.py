"""The options of a run, checked and typed: what everything below the command line works with."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from scalelag.errors import UsageError
from scalelag.plugin.defaults import default_of
from scalelag.plugin.load_options import asked_load, steps_given
from scalelag.plugin.options import (
    EMBEDDED_VARIABLE,
    OPTIONS,
    VARIABLE,
    Option,
    check_option,
    parse_header,
    parse_share,
)
from scalelag.plugin.tries import earlier_tries
from scalelag.record.plan import LoadPlan
from scalelag.record.run_info import EarlierTry
from scalelag.record.schedule import Schedule
from scalelag.record.trace import TraceInfo
from scalelag.target.preflight import without_credentials


class RequestSpec(msgspec.Struct, frozen=True):
    """The request that our own users send. `headers` still hold `${VARIABLE}`."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    timeout_s: float

    def headers_with_secrets(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Headers as sent. Raises UsageError where a variable is not set."""

        def value_of(match: re.Match[str]) -> str:
            if match[1] not in environ:
                raise UsageError(f"--header names ${{{match[1]}}}, which is not set.")
            return environ[match[1]]

        return {name: VARIABLE.sub(value_of, value) for name, value in self.headers}


class RunOptions(msgspec.Struct, frozen=True):
    """Our options, checked and typed."""

    schedule: Schedule
    trace: TraceInfo | None
    request: RequestSpec
    max_in_flight: int
    grpc_host: str | None
    dashboard: str
    dashboard_ca: str | None
    insecure: bool
    deployments: tuple[str, ...]
    probe_rate_per_s: float
    observer_budget_ratio: float
    drain_s: float
    wait_s: float
    wait_for_room_s: float
    out: Path
    name: str
    gates: tuple[str, ...]
    strict: bool
    raw: dict[str, Any]

    @property
    def plan(self) -> LoadPlan:
        """What is to be sent."""
        return self.schedule.plan

    @property
    def embedded(self) -> bool:
        """Whether `scalelag run` started the cluster for this run."""
        return os.environ.get(EMBEDDED_VARIABLE) == "1"

    @property
    def earlier_tries(self) -> tuple[EarlierTry, ...]:
        """Tries of `scalelag run` before this one."""
        return earlier_tries()

    def public(self) -> dict[str, Any]:
        """Options as given, fit for the record: of headers that hold values, only the names."""
        shown = [
            f"{name}: {value if VARIABLE.search(value) else '(not recorded)'}"
            for name, value in map(parse_header, self.raw["header"])
        ]
        return self.raw | {"header": shown, "dashboard": without_credentials(self.dashboard)}

    @property
    def verify(self) -> bool | str:
        """What requests takes as `verify`."""
        return False if self.insecure else (self.dashboard_ca or True)


def run_options(parsed: Mapping[str, Any], schedule: Schedule | None = None) -> RunOptions:
    """Options from `vars()` of Locust's namespace. Raises UsageError naming what is wrong.

    A process that is led has its `schedule` from the leader: it may not have the trace.
    """
    parsed = {**parsed, "steps": steps_given(parsed)}
    values = {
        option.dest: check_option(option, _given(option, parsed.get(option.dest, option.default)))
        for option in OPTIONS
        if option.type != "list"
    }
    # Locust's parser does not tell a default of the locustfile from what was given.
    if values["body_file"] and values["json_body"] == default_of("json_body"):
        values["json_body"] = None
    lists = {
        option.dest: tuple(check_option(option, item) for item in parsed.get(option.dest) or ())
        for option in OPTIONS
        if option.type == "list"
    }
    request = RequestSpec(
        method=str(values["method"]).upper(),
        path=values["path"] if str(values["path"]).startswith("/") else f"/{values['path']}",
        headers=_headers(lists["header"], json_body=bool(values["json_body"])),
        body=_body(values["json_body"], values["body_file"]),
        timeout_s=values["request_timeout"],
    )
    trace = None
    if schedule is None:
        schedule, trace = asked_load(values)
    return RunOptions(
        schedule=schedule,
        trace=trace,
        request=request,
        max_in_flight=values["max_in_flight"],
        grpc_host=values["grpc_host"],
        dashboard=values["dashboard"],
        dashboard_ca=values["dashboard_ca"],
        insecure=values["insecure"],
        deployments=lists["deployment"],
        probe_rate_per_s=values["probe_rate"],
        observer_budget_ratio=parse_share(values["observer_budget"]),
        drain_s=values["drain"],
        wait_s=values["wait"],
        wait_for_room_s=values["wait_for_room"],
        out=Path(values["out"]),
        name=values["name"],
        gates=lists["gate"],
        strict=values["strict"],
        raw=values | {name: list(items) for name, items in lists.items()},
    )


def _given(option: Option, value: Any) -> Any:  # noqa: ANN401  any option's value
    """`value`, None for the empty text that the web form hands over for a field left empty."""
    return None if value == "" and option.default is None else value


def _headers(texts: tuple[str, ...], *, json_body: bool) -> tuple[tuple[str, str], ...]:
    headers = tuple(parse_header(text) for text in texts)
    if json_body and "content-type" not in {name.lower() for name, _ in headers}:
        headers += (("Content-Type", "application/json"),)
    return headers


def _body(json_body: str | None, body_file: str | None) -> bytes | None:
    if json_body and body_file:
        raise UsageError("--json-body and --body-file: give one of the two.")
    if json_body:
        return json_body.encode()
    if not body_file:
        return None
    try:
        return Path(body_file).read_bytes()
    except OSError as error:
        raise UsageError(f"--body-file {body_file}: {error.strerror}.") from error
