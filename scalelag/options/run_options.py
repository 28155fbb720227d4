"""Options of a run, parsed and typed: the leader has all of them, a worker those of its load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reports.analysis.gates import Gate, with_defaults
from reports.analysis.load.slo import Slo
from reports.model.formats import Details, Format
from scalelag.cluster.urls import without_credentials
from scalelag.options.catalog import OPTIONS, default_of
from scalelag.options.checks import VARIABLE, parse_header
from scalelag.options.load_options import asked_load, steps_given
from scalelag.options.option import Option, parse_option
from scalelag.options.request_spec import RequestSpec, asked_request, read_files
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import LoadPlan
from scalelag.plan.trace_info import TraceInfo
from scalelag.record.run_info import EarlierAttempt


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that a process needs to send its share of the load. They travel to workers."""

    schedule: Schedule
    request: RequestSpec
    max_in_flight: int
    grpc_host: str | None
    grpc_method: str
    grpc_module: str | None
    wait_s: float

    @property
    def plan(self) -> LoadPlan:
        """Load plan of the whole run."""
        return self.schedule.plan


class RunOptions(LoadOptions, frozen=True, kw_only=True):
    """All options of a run.

    `raw` are the values as given, for the record. `embedded`: `scalelag run` started the cluster for
    this run, after the `earlier_attempts`.
    """

    trace: TraceInfo | None
    dashboard: str
    dashboard_ca: str | None
    insecure: bool
    deployments: tuple[str, ...]
    probe_rate_per_s: float
    observer_budget_ratio: float
    prometheus: str | None
    drain_s: float
    warmup_s: float
    wait_for_room_s: float
    slo: Slo | None
    out: Path
    name: str
    gates: tuple[Gate, ...]
    reports: tuple[Format, ...]
    strict: bool
    details: Details
    raw: dict[str, Any]
    embedded: bool = False
    earlier_attempts: tuple[EarlierAttempt, ...] = ()

    def for_share(self, share: Schedule) -> LoadOptions:
        """Return the options of a process that sends `share`."""
        return LoadOptions(
            schedule=share,
            request=self.request,
            max_in_flight=self.max_in_flight,
            grpc_host=self.grpc_host,
            grpc_method=self.grpc_method,
            grpc_module=self.grpc_module,
            wait_s=self.wait_s,
        )

    def public(self) -> dict[str, Any]:
        """Return the options as given, fit for the record: of literal headers only the names."""
        shown = [
            f"{name}: {value if VARIABLE.search(value) else '(not recorded)'}"
            for name, value in map(parse_header, self.raw["header"])
        ]
        prometheus = self.prometheus and without_credentials(self.prometheus)
        return self.raw | {
            "header": shown,
            "dashboard": without_credentials(self.dashboard),
            "prometheus": prometheus,
        }

    @property
    def verify(self) -> bool | str:
        """Value for the `verify` of requests."""
        return False if self.insecure else (self.dashboard_ca or True)


def run_options(
    given: Mapping[str, Any],
    *,
    embedded: bool = False,
    earlier_attempts: tuple[EarlierAttempt, ...] = (),
) -> RunOptions:
    """Return the options from `vars()` of Locust's namespace. Raises UsageError naming the option."""
    raw = _raw_values(given)
    values = {option.dest: _typed(option, raw[option.dest]) for option in OPTIONS}
    files = read_files(values)
    schedule, trace = asked_load(values)
    return RunOptions(
        schedule=schedule,
        trace=trace,
        request=asked_request(values, files),
        max_in_flight=values["max_in_flight"],
        grpc_host=values["grpc_host"],
        grpc_method=values["grpc_method"],
        grpc_module=values["grpc_module"],
        dashboard=values["dashboard"],
        dashboard_ca=values["dashboard_ca"],
        insecure=values["insecure"],
        deployments=values["deployment"],
        probe_rate_per_s=values["probe_rate"],
        observer_budget_ratio=values["observer_budget"],
        prometheus=values["prometheus"],
        drain_s=values["drain"],
        warmup_s=values["warmup"],
        wait_s=values["wait"],
        wait_for_room_s=values["wait_for_room"],
        slo=values["slo"],
        out=Path(values["out"]),
        name=values["name"],
        gates=with_defaults(values["gate"]),
        reports=values["report"],
        strict=values["strict"],
        details=values["details"],
        raw=raw,
        embedded=embedded,
        earlier_attempts=earlier_attempts,
    )


def _raw_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of all options as given; else the default, and a list for what can be repeated."""
    given = {**given, "steps": steps_given(given)}
    raw = {option.dest: _raw_value(option, given) for option in OPTIONS}
    # Locust's parser does not tell a default of the locustfile from what was given.
    if raw["body_file"] and raw["json_body"] == default_of("json_body"):
        raw["json_body"] = None
    return raw


def _raw_value(option: Option, given: Mapping[str, Any]) -> Any:  # noqa: ANN401  any option's value
    if option.type == "list":
        return list(given.get(option.dest) or ())
    value = given.get(option.dest, option.default)
    # The web form hands over an empty text for a field that was left empty.
    return None if value == "" and option.default is None else value


def _typed(option: Option, value: Any) -> Any:  # noqa: ANN401  any option's value
    if option.type == "list":
        return tuple(parse_option(option, item) for item in value)
    return parse_option(option, value)
