"""Figures of streamed answers: time to the first token, between tokens, tokens per second."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load_parts import StreamReport
from reports.analysis.quantiles import quantile_ms
from scalelag.record.requests_file import RequestColumns, StreamColumns

_FOR_A_MEAN = 2


class Streams(msgspec.Struct, frozen=True):
    """All streamed answers of a run: their rows' numbers, ascending, and what is told of each.

    `between_tokens` are seconds, each whole answer's mean; NaN where fewer than two tokens came or
    the answer broke off.
    """

    told: StreamColumns
    between_tokens: NDArray[np.float32]

    def of_rows(self, low: int, high: int) -> slice:
        """Which of them belong to the rows from `low` up to `high`."""
        first, last = np.searchsorted(self.told.row, (low, high))
        return slice(int(first), int(last))


def streams_of(rows: RequestColumns) -> Streams:
    """The streamed answers among `rows`."""
    told = rows.streams
    lasted_s = rows.latency_s[told.row] - told.first_token_s
    whole = (rows.error[told.row] < 0) & (told.tokens >= _FOR_A_MEAN)
    between = np.full(told.row.size, np.nan, np.float32)
    between[whole] = lasted_s[whole] / (told.tokens[whole] - 1)
    return Streams(told, between)


def stream_report(
    streams: Streams, chosen: slice | NDArray[np.intp], seconds: float
) -> StreamReport | None:
    """Figures of some of them, whose requests were meant to start within so many seconds.

    None where there are none.
    """
    told = streams.told
    tokens = told.tokens[chosen]
    if not tokens.size:
        return None
    first = _measured(told.first_token_s[chosen])
    between = _measured(streams.between_tokens[chosen])
    total = int(tokens.sum(dtype=np.int64))
    return StreamReport(
        answers=int(tokens.size),
        tokens=total,
        tokens_per_s=total / seconds if seconds > 0 else None,
        first_token_p50_ms=quantile_ms(first, 0.5),
        first_token_p95_ms=quantile_ms(first, 0.95),
        first_token_p99_ms=quantile_ms(first, 0.99),
        first_token_max_ms=quantile_ms(first, 1.0),
        time_between_tokens_p50_ms=quantile_ms(between, 0.5),
        time_between_tokens_p99_ms=quantile_ms(between, 0.99),
        token_gap_max_ms=quantile_ms(_measured(told.token_gap_max_s[chosen]), 1.0),
    )


def _measured(values_s: NDArray[np.float32]) -> NDArray[np.float32]:
    return values_s[np.isfinite(values_s)]
