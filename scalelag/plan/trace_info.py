"""Facts about the trace of a run, for its record."""

import msgspec

from scalelag.plan.trace_dates import DATE, duration
from scalelag.plan.trace_names import TraceKind
from scalelag.wording import count

_MOST_NAMES = 8


class TraceInfo(msgspec.Struct, frozen=True):
    """File and columns of a trace, part of `run.json`, and what was taken of it.

    `time_column` is None if each row is one second. `rows` are those that were used, `rows_left` the
    others; `rows_over_lines` go over several lines, as a quoted cell of theirs does. `sha256` is that
    of its times and rates, whatever file or column they stood in; None in records of version 0.1.
    `format` names the program or data set that wrote the file, if it is known. `unit` is that of its
    times. `lengths` are the columns of tokens and sessions, by which prompts were made if
    `lengths_used`; `unused` are those that were not read.
    `requests` come in `span_s` seconds, at most `peak_rps` in one of them. The other fields are the
    options that it was cut and scaled by.
    """

    file: str
    kind: TraceKind
    column: str
    time_column: str | None
    rows: int
    sha256: str | None = None
    format: str | None = None
    unit: str | None = None
    rows_left: int = 0
    rows_over_lines: int = 0
    lengths: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    requests: int = 0
    span_s: float = 0.0
    peak_rps: float = 0.0
    cut_from: str | None = None
    cut_to: str | None = None
    rate_scale: float = 1.0
    time_scale: float = 1.0
    lengths_used: bool = False

    @property
    def line(self) -> str:
        """One line of text that says what was read, what was left, and what comes of it."""
        parts = [f"{self.file}{f' ({self.format})' if self.format else ''}: {self._taken()}"]
        if self.rows_left:
            parts.append(f"{count(self.rows_left, 'row')} left out")
        if self.rows_over_lines:
            goes = "goes" if self.rows_over_lines == 1 else "go"
            parts.append(f"{count(self.rows_over_lines, 'row')} {goes} over several lines")
        if self.span_s:
            rate = self.requests / self.span_s
            parts.append(
                f"{count(self.requests, 'request')} in {duration(self.span_s)}, {rate:.3g} rps "
                f"on average and {self.peak_rps:.3g} at most"
            )
        if self.lengths:
            made = "prompts are" if self.lengths_used else "no prompts are"
            parts.append(f"{made} made by {_listed(self.lengths)}")
        if self.unused:
            parts.append(f"not read: {_listed(self.unused)}")
        return "; ".join(parts)

    def _taken(self) -> str:
        unit = {None: "", DATE: " (dates)"}.get(self.unit, f" in {self.unit}")
        if self.kind == "arrivals":
            arrivals = count(self.rows, "arrival time")
            return f'{arrivals} from column "{self.column}"{unit}'
        rates = count(self.rows, "rate")
        times = f'times from "{self.time_column}"{unit}' if self.time_column else "a row a second"
        return f'{rates} from column "{self.column}", {times}'


def _listed(names: tuple[str, ...]) -> str:
    left = len(names) - _MOST_NAMES
    more = f" and {left} more" if left > 0 else ""
    return ", ".join(f'"{name}"' for name in names[:_MOST_NAMES]) + more
