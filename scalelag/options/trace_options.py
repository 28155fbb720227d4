"""Options that say how a trace is read, for a run and for a simulation."""

from collections.abc import Mapping
from typing import Any

from scalelag.options.load_catalog import ANY_KIND, TRACE_OPTIONS
from scalelag.options.option import parse_option
from scalelag.plan.trace import TraceSpec
from scalelag.plan.trace_cut import Cut


def trace_spec(path: str, given: Mapping[str, Any]) -> TraceSpec:
    """Return the trace at `path`, to be read as the options that were `given` say, by their `dest`.

    Raises UsageError naming an option whose value makes no sense.
    """
    return spec_of(
        path,
        {one.dest: parse_option(one, given.get(one.dest, one.default)) for one in TRACE_OPTIONS},
    )


def spec_of(path: str, values: Mapping[str, Any]) -> TraceSpec:
    """Return the trace at `path`, to be read as parsed options say."""
    kind = values["trace_kind"]
    return TraceSpec(
        path,
        column=values["trace_column"],
        kind=None if kind == ANY_KIND else kind,
        time_column=values["trace_time_column"],
        unit=values["trace_unit"],
        cut=Cut(values["from"], values["to"], values["rate_scale"], values["time_scale"]),
    )
