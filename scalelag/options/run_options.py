"""The options of a run, checked and typed: what everything below the command line works with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reports.render.formats import Format
from scalelag.cluster.preflight import without_credentials
from scalelag.options.catalog import OPTIONS, Option, check_option, default_of
from scalelag.options.checks import VARIABLE, parse_header, parse_report, parse_share
from scalelag.options.load_options import asked_load, steps_given
from scalelag.options.request_spec import RequestSpec, asked_request, read_files
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import LoadPlan
from scalelag.plan.trace import TraceInfo
from scalelag.record.run_info import EarlierTry


class Handed(msgspec.Struct, frozen=True):
    """What a process that is led has from its leader, since it may not have the files.

    `files` are contents by option.
    """

    schedule: Schedule
    files: dict[str, bytes]


class RunOptions(msgspec.Struct, frozen=True):
    """Our options, checked and typed.

    `embedded`: `scalelag run` started the cluster for this run, after the `earlier_tries`.
    """

    schedule: Schedule
    trace: TraceInfo | None
    request: RequestSpec
    files: dict[str, bytes]
    max_in_flight: int
    grpc_host: str | None
    grpc_method: str
    grpc_module: str | None
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
    reports: tuple[Format, ...]
    strict: bool
    raw: dict[str, Any]
    embedded: bool = False
    earlier_tries: tuple[EarlierTry, ...] = ()

    @property
    def plan(self) -> LoadPlan:
        """What is to be sent."""
        return self.schedule.plan

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


def run_options(
    parsed: Mapping[str, Any],
    handed: Handed | None = None,
    *,
    embedded: bool = False,
    earlier_tries: tuple[EarlierTry, ...] = (),
) -> RunOptions:
    """Options from `vars()` of Locust's namespace. Raises UsageError naming what is wrong.

    A process that is led passes what was `handed` to it.
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
    files = read_files(values) if handed is None else handed.files
    schedule, trace = asked_load(values) if handed is None else (handed.schedule, None)
    return RunOptions(
        schedule=schedule,
        trace=trace,
        request=asked_request(values, lists["header"], files),
        files=files,
        max_in_flight=values["max_in_flight"],
        grpc_host=values["grpc_host"],
        grpc_method=values["grpc_method"],
        grpc_module=values["grpc_module"],
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
        reports=tuple(map(parse_report, lists["report"])),
        strict=values["strict"],
        raw=values | {name: list(items) for name, items in lists.items()},
        embedded=embedded,
        earlier_tries=earlier_tries,
    )


def _given(option: Option, value: Any) -> Any:  # noqa: ANN401  any option's value
    """`value`, None for the empty text that the web form hands over for a field left empty."""
    return None if value == "" and option.default is None else value
