"""Our options, once: for Locust's parser, for `scalelag run`, and as a typed struct."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from reports.analysis.gates import parse_gate
from reports.analysis.load.slo import parse_slo
from scalelag.cluster.preflight import check_url
from scalelag.errors import UsageError
from scalelag.options.checks import (
    at_least,
    check_address,
    check_method,
    parse_header,
    parse_report,
    parse_share,
)
from scalelag.plan.stages import parse_plan
from scalelag.record.run_dir import check_run_name

DEFAULT_STEPS = "5rps:15s,40rps:30s,5rps:30s"
ANY_KIND = "auto"


class Option(msgspec.Struct, frozen=True):
    """One option; `check` raises UsageError for a value that makes no sense.

    `is_local` is one that names a file or code of this machine: on Locust's page it can be used as
    it was given, or left out, and not be changed.
    """

    flag: str
    help: str
    type: Literal["text", "int", "float", "flag", "list", "choice"] = "text"
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], object] | None = None
    in_web: bool = True
    is_local: bool = False

    @property
    def dest(self) -> str:
        """Name of the parsed value."""
        return self.flag.removeprefix("--").replace("-", "_")


OPTIONS: tuple[Option, ...] = (
    Option(
        "--steps",
        "Load plan: stages LEVEL UNIT:DURATION, rps = open loop, users = closed loop, A..B = ramp.",
        default=DEFAULT_STEPS,
        check=parse_plan,
    ),
    Option(
        "--trace",
        "CSV file with arrival times, or with requests per second, to send in place of --steps.",
        is_local=True,
    ),
    Option(
        "--trace-column", "Column of the trace to take; else the one named arrival_s, rps or alike."
    ),
    Option(
        "--trace-kind",
        "What that column holds; auto: as its name says.",
        "choice",
        ANY_KIND,
        choices=(ANY_KIND, "arrivals", "rates"),
    ),
    Option(
        "--trace-time-column",
        "Column with the time from which each rate holds; else the one named time_s or alike.",
    ),
    Option(
        "--repeat",
        "Run the list of stages, or the trace, this many times.",
        "int",
        1,
        check=at_least(1, ""),
    ),
    Option(
        "--arrivals",
        "How open-loop arrivals follow one another.",
        "choice",
        "constant",
        choices=("constant", "poisson"),
    ),
    Option("--seed", "Seed of Poisson arrivals.", "int", 1, check=at_least(0, "")),
    Option("--path", "Path (and query) to request.", default="/"),
    Option("--method", "HTTP method.", default="GET"),
    Option(
        "--header",
        'Header "Name: value"; ${VARIABLE} is taken from the environment. Can be repeated.',
        "list",
        check=parse_header,
        in_web=False,
    ),
    Option("--json-body", "JSON text to send as the body."),
    Option("--body-file", "File to send as the body.", is_local=True),
    Option(
        "--data",
        "CSV or JSON Lines file; its rows fill {{ columns }} in path and body, one a request.",
        is_local=True,
    ),
    Option(
        "--models",
        "Ids of multiplexed models, separated by commas; each request is for the next.",
    ),
    Option("--expect", "Text that a good answer holds; an answer without it is a wrong answer."),
    Option(
        "--request-timeout",
        "Seconds after which a request has failed.",
        "float",
        30.0,
        check=at_least(0.001, "seconds"),
    ),
    Option(
        "--max-in-flight",
        "Open requests a process has at most; an arrival beyond is recorded as not_sent.",
        "int",
        1000,
        check=at_least(1, ""),
    ),
    Option(
        "--grpc-host",
        "Address HOST:PORT of Serve's gRPC proxy; default: the host of --host, port 9000.",
        check=check_address,
    ),
    Option(
        "--grpc-method",
        "gRPC method to call, as package.Service/Method.",
        default="ray.serve.UserDefinedService/Method1",
        check=check_method,
    ),
    Option(
        "--grpc-module",
        "Module of its generated code; else its server is asked for it.",
        is_local=True,
    ),
    Option(
        "--dashboard",
        "URL of the Ray dashboard.",
        default="http://127.0.0.1:8265",
        check=check_url,
    ),
    Option(
        "--dashboard-ca",
        "File with the CA that the dashboard's certificate is checked with.",
        is_local=True,
    ),
    Option("--insecure", "Do not check the dashboard's certificate.", "flag", default=False),
    Option(
        "--deployment",
        "Watch only this deployment, as app/Deployment. Can be repeated.",
        "list",
        in_web=False,
    ),
    Option(
        "--probe-rate", "Looks at the replicas a second.", "float", 5.0, check=at_least(0.1, "")
    ),
    Option(
        "--observer-budget",
        "Share of the Serve controller's time that looking may cost at most.",
        default="2%",
        check=parse_share,
    ),
    Option(
        "--drain",
        "Watch the scale-down for at most this many seconds after the load ended.",
        "float",
        60.0,
        check=at_least(0, "seconds"),
    ),
    Option(
        "--warmup",
        "Seconds at the beginning whose requests and steps count in no figure of the whole run.",
        "float",
        0.0,
        check=at_least(0, "seconds"),
    ),
    Option(
        "--slo",
        "Limit on latency, such as p95<200ms: a step has recovered only when it is kept.",
        check=parse_slo,
    ),
    Option(
        "--wait",
        "Seconds to wait for the target to be ready.",
        "float",
        10.0,
        check=at_least(0, "seconds"),
    ),
    Option(
        "--wait-for-room",
        "Seconds to wait for room for max_replicas before the load starts; 0 only warns.",
        "float",
        0.0,
        check=at_least(0, "seconds"),
    ),
    Option("--out", "Folder of the run directories.", default="runs", is_local=True),
    Option(
        "--name",
        "Name of the run, part of its directory's name.",
        default="stepped",
        check=check_run_name,
    ),
    Option(
        "--capacity-rps",
        "Requests per second that one replica serves well: elasticity is measured against it.",
        "float",
        check=at_least(0.001, "requests per second"),
    ),
    Option(
        "--gate",
        'Condition for passing, such as "scale_up.total_s.max <= 20". Can be repeated.',
        "list",
        check=parse_gate,
        in_web=False,
    ),
    Option(
        "--report",
        "Leave a report of this kind beside report.json: html, md, junit or csv. Can be repeated.",
        "list",
        check=parse_report,
        in_web=False,
    ),
    Option("--strict", "An inconclusive gate fails the run (exit 5).", "flag", default=False),
)


def check_option(option: Option, value: Any) -> Any:  # noqa: ANN401  any option's value
    """Return `value` where the option takes it. Raises UsageError naming the option."""
    if option.choices and value not in option.choices:
        raise UsageError(f"{option.flag} {value}: choose {' or '.join(option.choices)}.")
    if option.check is not None and value is not None:
        try:
            option.check(value)
        except UsageError as error:
            raise UsageError(f"{option.flag}: {error}") from error
    return value


_defaults: dict[str, Any] = {o.dest: o.default for o in OPTIONS if o.type != "list"}


def set_defaults(**defaults: Any) -> None:  # noqa: ANN401  any option's value
    """Set them. Raises UsageError where there is no such option, or it is a list."""
    if unknown := sorted(defaults.keys() - _defaults.keys()):
        raise UsageError(f"attach({unknown[0]}=..) in a locustfile: no option that can have one.")
    _defaults.update(defaults)


def default_of(dest: str) -> Any:  # noqa: ANN401  any option's value
    """The default of one option."""
    return _defaults[dest]
