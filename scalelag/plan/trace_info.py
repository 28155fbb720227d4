"""Facts about the trace of a run, for its record."""

import msgspec

from scalelag.plan.trace_columns import TraceKind


class TraceInfo(msgspec.Struct, frozen=True):
    """File and columns of a trace, part of `run.json`.

    `time_column` is None if each row is one second. `sha256` is that of its times and rates, whatever
    file or column they stood in; None in records of version 0.1.
    """

    file: str
    kind: TraceKind
    column: str
    time_column: str | None
    rows: int
    sha256: str | None = None

    @property
    def line(self) -> str:
        """One line of text that says what was read."""
        if self.kind == "arrivals":
            return f'{self.file}: {self.rows:,} arrival times from column "{self.column}"'
        times = f'times from "{self.time_column}"' if self.time_column else "a row a second"
        return f'{self.file}: {self.rows:,} rates from column "{self.column}", {times}'
