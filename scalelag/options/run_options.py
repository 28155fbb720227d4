"""Options of a run, parsed and typed: the leader has all of them, a worker those of its load."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from reports.analysis.gate_checks import ExpectedParts, check_gates
from reports.analysis.gates import Gate, with_defaults
from reports.analysis.load.slo import Slo, on_quantiles
from reports.model.formats import Details, Format
from scalelag.cluster.listening import ListenAddress
from scalelag.cluster.urls import without_credentials
from scalelag.errors import UsageError
from scalelag.options.ca_file import check_ca
from scalelag.options.catalog import OPTIONS, default_of
from scalelag.options.checks import public_header
from scalelag.options.expected import expected, with_steps
from scalelag.options.load_options import (
    AskedLoad,
    asked_load,
    shape_load,
    steps_given,
    with_mix,
    without_plan,
)
from scalelag.options.option import Option, parse_option
from scalelag.options.prompt_options import AskedPrompts, asked_prompts
from scalelag.options.request_spec import (
    RequestSpec,
    asked_request,
    filled_headers,
    read_files,
)
from scalelag.options.request_tables import asked_mix
from scalelag.plan.events import PlannedEvent, check_events
from scalelag.plan.schedule import Schedule
from scalelag.plan.stages import LoadPlan
from scalelag.plan.trace_info import TraceInfo
from scalelag.prompts.info import PromptInfo
from scalelag.prompts.plan import PromptPlan
from scalelag.record.run_info import EarlierAttempt, RequestInfo
from scalelag.record.secrets import HIDERS, hide_url_secrets

_FIELDS_OF_THEIR_NAME: Final = (
    *("max_in_flight", "grpc_host", "grpc_method", "grpc_module"),
    *("dashboard", "dashboard_ca", "insecure", "prometheus"),
    *("name", "strict", "details", "allow_faults", "prometheus_port"),
)
"""Options that are fields of RunOptions by the same name, as they were parsed."""
_OPTIONS_OF_FIELDS: Final = {
    "dashboard_headers": "dashboard_header",
    "deployments": "deployment",
    "probe_rate_per_s": "probe_rate",
    "observer_budget_ratio": "observer_budget",
    "drain_s": "drain",
    "wait_s": "wait",
    "wait_for_room_s": "wait_for_room",
    "limits": "slo",
    "reports": "report",
}
"""Fields of RunOptions that are options of another name, as they were parsed."""


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that a process needs to send its share of the load. They travel to workers.

    `requests` are those of a mix, by the numbers in the schedule; else there is only one. `prompts` are
    made for each request, if there are any.
    """

    schedule: Schedule
    requests: tuple[RequestSpec, ...]
    max_in_flight: int
    grpc_host: str | None
    grpc_method: str
    grpc_module: str | None
    wait_s: float
    prompts: PromptPlan | None = None

    @property
    def plan(self) -> LoadPlan:
        """Load plan of the whole run."""
        return self.schedule.plan

    @property
    def request(self) -> RequestSpec:
        """The only request, or the first one of a mix; all have one time-out."""
        return self.requests[0]

    def ended(self, stage: int, at_s: float) -> Self:
        """Return the options with a plan of which a stage ends early (see `LoadPlan.ended`)."""
        return msgspec.structs.replace(self, schedule=self.schedule.ended(stage, at_s))

    def check_headers(self, environ: Mapping[str, str]) -> None:
        """Raise UsageError if a header of a request cannot be sent from here."""
        for request in self.requests:
            request.headers_with_secrets(environ)


class RunOptions(LoadOptions, frozen=True, kw_only=True):
    """All options of a run.

    `raw` are the values as given, for the record. `shape`: the shape class of the user's own that
    drives the load in place of a plan. `embedded`: `scalelag run` started the cluster for
    this run, after the `earlier_attempts`. `launched` are options of its own that a record keeps.
    """

    trace: TraceInfo | None
    dashboard: str
    dashboard_headers: tuple[tuple[str, str], ...]
    dashboard_ca: str | None
    insecure: bool
    deployments: tuple[str, ...]
    probe_rate_per_s: float
    observer_budget_ratio: float
    prometheus: str | None
    drain_s: float
    warmup_s: float
    wait_for_room_s: float
    limits: tuple[Slo, ...]
    out: Path
    name: str
    gates: tuple[Gate, ...]
    reports: tuple[Format, ...]
    strict: bool
    details: Details
    prometheus_port: ListenAddress | None
    raw: dict[str, Any]
    shape: str | None = None
    embedded: bool = False
    earlier_attempts: tuple[EarlierAttempt, ...] = ()
    launched: dict[str, Any] = {}
    prompt_info: PromptInfo | None = None
    events: tuple[PlannedEvent, ...] = ()
    allow_faults: bool = False

    @property
    def slo(self) -> Slo | None:
        """The first limit on a quantile of latency, None without one."""
        return next(iter(on_quantiles(self.limits)), None)

    @property
    def expected(self) -> ExpectedParts:
        """Parts that the run will have; steps of a trace and of a shape are found in the load only."""
        has_limits = bool(self.limits)
        parts = expected(self.schedule, events=len(self.events), has_limits=has_limits)
        is_found = self.trace is not None or self.shape is not None
        return parts if is_found else with_steps(parts, self.schedule)

    def for_share(self, index: int, count: int) -> LoadOptions:
        """Return the options of process `index` of `count`."""
        return LoadOptions(
            schedule=self.schedule.share(index, count),
            prompts=self.prompts and self.prompts.share(index, count),
            requests=self.requests,
            max_in_flight=self.max_in_flight,
            grpc_host=self.grpc_host,
            grpc_method=self.grpc_method,
            grpc_module=self.grpc_module,
            wait_s=self.wait_s,
        )

    def public(self) -> dict[str, Any]:
        """Return the options as given, fit for the record: of literal headers only the names."""
        return self.raw | {
            **{name: self.raw[name] and hide(str(self.raw[name])) for name, hide in HIDERS.items()},
            "header": list(map(public_header, self.raw["header"])),
            "dashboard_header": list(map(public_header, self.raw["dashboard_header"])),
            "dashboard": without_credentials(self.dashboard),
            "prometheus": self.prometheus and without_credentials(self.prometheus),
        }

    def recorded_mix(self) -> tuple[RequestInfo, ...]:
        """Return the requests of the mix, fit for the record; none without one."""
        mix = self.schedule.mix
        if mix is None:
            return ()
        return tuple(
            RequestInfo(
                name=spec.name,
                method=spec.method,
                path=hide_url_secrets(spec.path),
                weights=tuple(row[number] for row in mix.weights),
                arrivals=mix.arrivals[number],
                sha256=spec.sha256,
                model=next(iter(spec.models), None),
            )
            for number, spec in enumerate(self.requests)
        )

    def headers_for_dashboard(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of `--dashboard-header` as sent. Raises UsageError as the request's do."""
        return filled_headers(self.dashboard_headers, environ, "--dashboard-header")

    @property
    def verify(self) -> bool | str:
        """Value for the `verify` of requests."""
        return False if self.insecure else (self.dashboard_ca or True)


def run_options(
    given: Mapping[str, Any],
    *,
    shape: str | None = None,
    embedded: bool = False,
    earlier_attempts: tuple[EarlierAttempt, ...] = (),
    launched: Mapping[str, Any] | None = None,
    makes_prompts: bool | None = None,
) -> RunOptions:
    """Return the options from `vars()` of Locust's namespace. Raises UsageError naming the option.

    `shape` is the name of a shape class of the user's own that drives the load. `makes_prompts`: a user
    class sends the prompts that options or a trace ask for; None: that is not known yet.
    """
    raw = _raw_values(given, shape)
    values = {option.dest: _typed(option, raw[option.dest]) for option in OPTIONS}
    load = asked_load(values) if shape is None else shape_load(shape)
    requests, prompts = _asked_requests(values, load, shape, makes_prompts=makes_prompts)
    events = _events(values["event"], load, shape)
    gates = _gates(values, prompts.schedule, events)
    check_ca(values["dashboard_ca"])
    return RunOptions(
        schedule=prompts.schedule,
        trace=_trace_info(load, prompts),
        requests=requests,
        prompts=prompts.plan,
        prompt_info=prompts.info,
        **{name: values[name] for name in _FIELDS_OF_THEIR_NAME},
        **{name: values[option] for name, option in _OPTIONS_OF_FIELDS.items()},
        warmup_s=_warmup(values["warmup"], load, shape),
        out=Path(values["out"]),
        gates=gates,
        events=events,
        raw=raw | ({"steps": None} if shape is not None else {}),
        shape=shape,
        embedded=embedded,
        earlier_attempts=earlier_attempts,
        launched=dict(launched or {}),
    )


def _asked_requests(
    values: Mapping[str, Any], load: AskedLoad, shape: str | None, *, makes_prompts: bool | None
) -> tuple[tuple[RequestSpec, ...], AskedPrompts]:
    """Return the requests of a mix, or the only one, and its prompts."""
    if values["requests"]:
        requests, mix = asked_mix(values)
        return requests, AskedPrompts(with_mix(load.schedule, mix, values, shape=shape))
    request = asked_request(values, read_files(values))
    prompts = asked_prompts(values, request, load, makes_prompts=makes_prompts)
    request.check_rows_used()
    return (request,), prompts


def _gates(
    values: Mapping[str, Any], schedule: Schedule, events: Sequence[PlannedEvent]
) -> tuple[Gate, ...]:
    """Return the gates asked for and the default ones, all of figures that the run will have."""
    gates = with_defaults(values["gate"])
    check_gates(gates, expected(schedule, events=len(events), has_limits=bool(values["slo"])))
    return gates


def _warmup(warmup_s: float, load: AskedLoad, shape: str | None) -> float:
    """Return the warm-up, if the load goes on after it; of a user's own shape that is not known."""
    lasts_s = load.schedule.plan.duration_s
    if shape is None and warmup_s >= lasts_s > 0:
        raise UsageError(
            f"--warmup: the warm-up of {warmup_s:g} s leaves nothing of a load of {lasts_s:g} s: "
            "shorten it, or lengthen the plan"
        )
    return warmup_s


def _events(
    asked: Sequence[PlannedEvent], load: AskedLoad, shape: str | None
) -> tuple[PlannedEvent, ...]:
    """Return the events in the order of their times; how long a user's own shape lasts is not known."""
    events = (*load.events, *asked)
    check_events(events, None if shape else load.schedule.plan.duration_s)
    return tuple(sorted(events, key=lambda event: event.at_s))


def _trace_info(load: AskedLoad, prompts: AskedPrompts) -> TraceInfo | None:
    """Return the facts of the trace; they say whether prompts are made by its lengths."""
    if load.trace is None or prompts.plan is None or not load.trace.lengths:
        return load.trace
    return msgspec.structs.replace(load.trace, lengths_used=True)


def _raw_values(given: Mapping[str, Any], shape: str | None) -> dict[str, Any]:
    """Values of all options as given; else the default, and a list for what can be repeated.

    A run that the user's own `shape` drives has no plan.
    """
    given = {**given, "steps": steps_given(given)}
    raw = {option.dest: _raw_value(option, given) for option in OPTIONS}
    # Locust's parser does not tell a default of the locustfile from what was given.
    if raw["body_file"] and raw["json_body"] == default_of("json_body"):
        raw["json_body"] = None
    return raw if shape is None else raw | without_plan(shape, raw)


def _raw_value(option: Option, given: Mapping[str, Any]) -> Any:  # noqa: ANN401  any option's value
    if option.type == "list":
        items = given.get(option.dest) or ()
        # Before it could be repeated, --slo was one text.
        return [items] if isinstance(items, str) else list(items)
    value = given.get(option.dest, option.default)
    # The web form hands over an empty text for a field that was left empty.
    return None if value == "" and option.default is None else value


def _typed(option: Option, value: Any) -> Any:  # noqa: ANN401  any option's value
    if option.type == "list":
        return tuple(parse_option(option, item) for item in value)
    return parse_option(option, value)
