"""Options of the load plan, and of a trace in its place."""

from scalelag.options.checks import at_least
from scalelag.options.option import Option
from scalelag.plan.events import parse_event
from scalelag.plan.stages import parse_plan
from scalelag.plan.trace_dates import AUTO, DAYS, parse_moment

DEFAULT_STEPS = "5rps:15s,40rps:30s,5rps:30s"
ANY_KIND = "auto"
_TRACE = "trace"

LOAD_OPTIONS: tuple[Option, ...] = (
    Option(
        "--steps",
        "Load plan",
        "Load",
        'Load plan: stages LEVEL UNIT:DURATION, such as "10rps:20s,80rps:60s". rps is open loop, '
        "users is closed loop, replicas is the load that they serve; A..B is a ramp; settle<=60s for a "
        "duration holds until all has settled.",
        default=DEFAULT_STEPS,
        parse=parse_plan,
        form_rank=1,
    ),
    Option(
        "--calibration",
        "Calibration",
        "Load",
        "File of scalelag run --calibrate: what one replica serves, for a plan in replicas.",
        names="path",
    ),
    Option(
        "--scale",
        "Scaled deployment",
        "Load",
        "Deployment that a plan in replicas scales, by Serve's API, beside the load of --rate.",
    ),
    Option(
        "--rate",
        "Rate beside it (rps)",
        "Load",
        "Requests per second beside a plan in replicas with --scale. 0: none.",
        "float",
        0.0,
        parse=at_least(0, "requests per second"),
    ),
    Option(
        "--trace",
        "Trace file",
        "Load",
        "CSV or JSON Lines file with arrival times or request rates to replay in place of --steps.",
        names="path",
    ),
    Option(
        "--trace-column",
        "Trace column",
        "Load",
        "Column of the trace to use. Default: found by its name, such as arrival_s or rps.",
        needs=_TRACE,
    ),
    Option(
        "--trace-kind",
        "Trace kind",
        "Load",
        "Content of that column: arrivals or rates. auto goes by the column's name.",
        "choice",
        ANY_KIND,
        choices=(ANY_KIND, "arrivals", "rates"),
        needs=_TRACE,
    ),
    Option(
        "--trace-time-column",
        "Trace time column",
        "Load",
        "Column with the start time of each rate. Default: found by its name, such as time_s. none: a "
        "row is a second.",
        needs=_TRACE,
    ),
    Option(
        "--trace-unit",
        "Trace unit",
        "Load",
        "Unit of the trace's times: s, ms, us, ns, min, h, or d (days, also of spreadsheets). auto "
        "goes by the column's name and its values.",
        "choice",
        AUTO,
        choices=(AUTO, "s", "ms", "us", "ns", "min", "h", DAYS),
        needs=_TRACE,
    ),
    Option(
        "--from",
        "Trace from",
        "Load",
        "Place in the trace to begin at: seconds after its beginning, a span such as 10m, or a date.",
        parse=parse_moment,
        needs=_TRACE,
    ),
    Option(
        "--to",
        "Trace to",
        "Load",
        "Place in the trace to end before, as for --from.",
        parse=parse_moment,
        needs=_TRACE,
    ),
    Option(
        "--rate-scale",
        "Trace rate scale",
        "Load",
        "Factor on the number of requests of a trace, evenly over its time. 0.1: every tenth.",
        "float",
        1.0,
        parse=at_least(0.000001, "times"),
        needs=_TRACE,
    ),
    Option(
        "--time-scale",
        "Trace time scale",
        "Load",
        "Factor on the length of a trace, with the same requests. 0.1: ten times as fast.",
        "float",
        1.0,
        parse=at_least(0.000001, "times"),
        needs=_TRACE,
    ),
    Option(
        "--repeat",
        "Repeats of the plan",
        "Load",
        "Number of times to run the plan or the trace.",
        "int",
        1,
        parse=at_least(1, ""),
    ),
    Option(
        "--arrivals",
        "Arrivals",
        "Load",
        "Spacing of open-loop arrivals: constant or poisson.",
        "choice",
        "constant",
        choices=("constant", "poisson"),
    ),
    Option(
        "--seed",
        "Seed",
        "Load",
        "Seed of Poisson arrivals and of prompts.",
        "int",
        1,
        parse=at_least(0, ""),
    ),
    Option(
        "--event",
        "Events",
        "Load",
        'Step that is not load, such as "60s: kill 2 replicas of app/Deployment" or "90s: deploy '
        'new.yaml". Can be repeated.',
        "list",
        parse=parse_event,
        in_web=False,
    ),
)

TRACE_OPTIONS: tuple[Option, ...] = tuple(one for one in LOAD_OPTIONS if one.needs == _TRACE)
"""Options that have no meaning without a trace."""
