"""All options of a run, in the order of `--help`; those of the load stand in `load_catalog`."""

from typing import Any

from reports.analysis.gates import parse_gate_option
from reports.analysis.load.slo import parse_slo
from reports.model.formats import Details
from scalelag.cluster.urls import check_url
from scalelag.errors import UsageError
from scalelag.options.checks import (
    at_least,
    check_address,
    check_method,
    parse_header,
    parse_http_method,
    parse_listen,
    parse_models,
    parse_path,
    parse_report,
    parse_share,
)
from scalelag.options.load_catalog import ANY_KIND, DEFAULT_STEPS, LOAD_OPTIONS
from scalelag.options.option import Option
from scalelag.options.prompt_catalog import PROMPT_OPTIONS
from scalelag.record.run_name import check_run_name

__all__ = ["ANY_KIND", "COMPARABLE", "DEFAULT_STEPS", "OPTIONS"]

OPTIONS: tuple[Option, ...] = (
    *LOAD_OPTIONS,
    Option(
        "--requests",
        "Requests of a mix",
        "Request",
        "TOML file with [[request]] tables, to send several requests, each with a weight.",
        names="path",
        comparable=True,
    ),
    Option(
        "--path",
        "Path",
        "Request",
        "Path and query to request.",
        default="/",
        parse=parse_path,
        form_rank=3,
    ),
    Option(
        "--method", "HTTP method", "Request", "HTTP method.", default="GET", parse=parse_http_method
    ),
    Option(
        "--header",
        "Headers",
        "Request",
        'Header "Name: value". ${VARIABLE} is taken from the environment. Can be repeated.',
        "list",
        parse=parse_header,
        in_web=False,
    ),
    Option(
        "--json-body",
        "JSON body",
        "Request",
        "JSON text to send as the body.",
        may_be_empty=True,
    ),
    Option("--body-file", "Body file", "Request", "File to send as the body.", names="path"),
    Option(
        "--data",
        "Data file",
        "Request",
        "CSV or JSON Lines file. Each request takes the next row, which fills {{ columns }} in path "
        "and body.",
        names="path",
    ),
    Option(
        "--models",
        "Multiplexed models",
        "Request",
        "Ids of multiplexed models, separated by commas. Requests take turns through them.",
        parse=parse_models,
    ),
    Option(
        "--expect",
        "Expected text",
        "Request",
        "Text that every good answer contains. An answer without it counts as failed.",
        parse=str.encode,
    ),
    Option(
        "--request-timeout",
        "Request time-out (s)",
        "Request",
        "Seconds after which a request has failed.",
        "float",
        30.0,
        parse=at_least(0.001, "seconds"),
    ),
    Option(
        "--max-in-flight",
        "Maximum open requests",
        "Request",
        "Maximum open requests per process; further arrivals are recorded as `not_sent`.",
        "int",
        1000,
        parse=at_least(1, ""),
    ),
    *PROMPT_OPTIONS,
    Option(
        "--grpc-host",
        "gRPC address",
        "gRPC",
        "Address HOST:PORT of Serve's gRPC proxy. Default: the host of --host, port 9000.",
        parse=check_address,
        comparable=True,
    ),
    Option(
        "--grpc-method",
        "gRPC method",
        "gRPC",
        "gRPC method to call, as package.Service/Method.",
        default="ray.serve.UserDefinedService/Method1",
        parse=check_method,
    ),
    Option(
        "--grpc-module",
        "gRPC module",
        "gRPC",
        "Python module with the method's generated code. Default: ask the server by reflection.",
        names="code",
    ),
    Option(
        "--dashboard",
        "Ray dashboard",
        "Cluster",
        "URL of the Ray dashboard.",
        default="http://127.0.0.1:8265",
        parse=check_url,
        comparable=True,
        form_rank=2,
    ),
    Option(
        "--dashboard-header",
        "Dashboard headers",
        "Cluster",
        'Header "Name: value" for the dashboard. ${VARIABLE} is taken from the environment. Can be '
        "repeated.",
        "list",
        parse=parse_header,
        in_web=False,
        comparable=True,
    ),
    Option(
        "--dashboard-ca",
        "Dashboard CA file",
        "Cluster",
        "File with the CA certificate to check the dashboard's certificate with.",
        in_web=False,
        names="path",
        comparable=True,
    ),
    Option(
        "--insecure",
        "Skip certificate check",
        "Cluster",
        "Do not check the dashboard's certificate.",
        "flag",
        default=False,
        in_web=False,
        comparable=True,
    ),
    Option(
        "--wait",
        "Wait for the target (s)",
        "Cluster",
        "Seconds to wait for the target to be ready.",
        "float",
        10.0,
        parse=at_least(0, "seconds"),
        comparable=True,
    ),
    Option(
        "--wait-for-room",
        "Wait for room (s)",
        "Cluster",
        "Seconds to wait, before the load starts, for room for max_replicas. 0: only warn.",
        "float",
        0.0,
        parse=at_least(0, "seconds"),
        comparable=True,
    ),
    Option(
        "--allow-faults",
        "Allow events",
        "Cluster",
        "Let --event change a cluster that this command did not start.",
        "flag",
        default=False,
        in_web=False,
    ),
    Option(
        "--deployment",
        "Deployments",
        "Measurement",
        "Deployment to watch, as app/Deployment. Default: all. Can be repeated.",
        "list",
        in_web=False,
        form_rank=4,
    ),
    Option(
        "--probe-rate",
        "Polls per second",
        "Measurement",
        "Polls of Serve's replica state per second.",
        "float",
        5.0,
        parse=at_least(0.1, ""),
    ),
    Option(
        "--observer-budget",
        "Observer budget",
        "Measurement",
        "Maximum share of the Serve controller's time that the polls may cost.",
        default="2%",
        parse=parse_share,
    ),
    Option(
        "--prometheus",
        "Prometheus server",
        "Measurement",
        "URL of a Prometheus server that scrapes the cluster, to read Serve's gauges from. Default: "
        "the metrics ports of the nodes.",
        parse=check_url,
        comparable=True,
    ),
    Option(
        "--drain",
        "Watch after the load (s)",
        "Measurement",
        "Maximum seconds to watch the scale-down after the load has ended.",
        "float",
        60.0,
        parse=at_least(0, "seconds"),
        comparable=True,
    ),
    Option(
        "--warmup",
        "Warm-up (s)",
        "Measurement",
        "Seconds at the beginning to leave out of all figures of the whole run.",
        "float",
        0.0,
        parse=at_least(0, "seconds"),
    ),
    Option(
        "--slo",
        "Limits",
        "Verdict",
        "Limit such as p95<200ms, ttft<500ms or itl<50ms. Requests within all of them are the goodput; "
        "a step has recovered once latency keeps those with a quantile. Can be repeated.",
        "list",
        parse=parse_slo,
        in_web=False,
    ),
    Option(
        "--capacity-rps",
        "Capacity of a replica (rps)",
        "Verdict",
        "Requests per second that one replica serves well. Elasticity is measured against it.",
        "float",
        parse=at_least(0.001, "requests per second"),
    ),
    Option(
        "--gate",
        "Gates",
        "Verdict",
        'Condition for passing, such as "scale_up.total_s.max <= 20". Can be repeated. none: without '
        "the default gates.",
        "list",
        parse=parse_gate_option,
        in_web=False,
        comparable=True,
        form_rank=5,
    ),
    Option(
        "--strict",
        "Fail if inconclusive",
        "Verdict",
        "Fail the run if a gate is inconclusive (exit 5).",
        "flag",
        default=False,
        comparable=True,
    ),
    Option(
        "--out",
        "Folder of runs",
        "Output",
        "Folder for the run directories.",
        default="runs",
        names="path",
        comparable=True,
    ),
    Option(
        "--name",
        "Name of the run",
        "Output",
        "Name of the run, part of its directory's name.",
        default="stepped",
        parse=check_run_name,
        comparable=True,
    ),
    Option(
        "--report",
        "Reports",
        "Output",
        "Format of a report to write beside report.json: html, md, junit, csv or perf-metrics. Can be "
        "repeated.",
        "list",
        parse=parse_report,
        in_web=False,
        comparable=True,
    ),
    Option(
        "--prometheus-port",
        "Port for Prometheus",
        "Output",
        "[HOST:]PORT at which a Prometheus server can scrape the run while it goes on; HOST is "
        "127.0.0.1 if it is left out. 0: none.",
        default="0",
        parse=parse_listen,
        in_web=False,
        comparable=True,
    ),
    Option(
        "--details",
        "Details of deployments",
        "Output",
        "Deployments of which a report on several shows details: those that moved, failed to follow "
        "or have a finding (moved), or all.",
        "choice",
        Details.MOVED.value,
        choices=tuple(one.value for one in Details),
        parse=Details,
        comparable=True,
    ),
)

COMPARABLE: frozenset[str] = frozenset(option.dest for option in OPTIONS if option.comparable)
"""Options that may differ between runs that are compared."""

_defaults: dict[str, Any] = {o.dest: o.default for o in OPTIONS if o.type != "list"}


def set_defaults(**defaults: Any) -> None:  # noqa: ANN401  any option's value
    """Change defaults. Raises UsageError if there is no such option, or it is a list."""
    if unknown := sorted(defaults.keys() - _defaults.keys()):
        raise UsageError(
            f"attach({unknown[0]}=..) in a locustfile: there is no option of that name that can "
            "have a default."
        )
    _defaults.update(defaults)


def option_of(dest: str) -> Option:
    """Return the option whose parsed value is called `dest`."""
    return next(option for option in OPTIONS if option.dest == dest)


def help_of(dest: str) -> str:
    """Return the help text of one option."""
    return option_of(dest).help


def default_of(dest: str) -> Any:  # noqa: ANN401  any option's value
    """Return the default of one option."""
    return _defaults[dest]
