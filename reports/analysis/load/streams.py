"""Streamed answers: their first tokens, and the time between tokens (docs/metrics.md#goodput)."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.quantiles import quantile_ms
from reports.model.load import StreamReport
from scalelag.record.requests_file import RequestColumns, StreamColumns

_FOR_A_MEAN = 2


class Streams(msgspec.Struct, frozen=True):
    """All streamed answers of a run: their rows' numbers, ascending, and the figures of each.

    `between_tokens` are seconds, each whole answer's mean: from its first token to its last, over the
    tokens that came in this time. NaN where fewer than two came, or all in one chunk, or the answer
    broke off.
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
    # Older records have no time of the last token: it came shortly before the end.
    is_timed = np.isfinite(told.last_token_s)
    last_s = np.where(is_timed, told.last_token_s, rows.latency_s[told.row])
    tokens = np.where(is_timed, told.timed_tokens, told.tokens)
    # A server may count many tokens in one chunk: that there was a second chunk, the gap tells.
    in_turn = np.isfinite(told.token_gap_max_s)
    whole = (rows.error[told.row] < 0) & (tokens >= _FOR_A_MEAN) & in_turn
    between = np.full(told.row.size, np.nan, np.float32)
    between[whole] = (last_s - told.first_token_s)[whole] / (tokens[whole] - 1)
    return Streams(told, between)


def stream_report(
    streams: Streams, chosen: slice | NDArray[np.uint32], seconds: float
) -> StreamReport | None:
    """Report of the chosen answers, whose requests were meant to start within `seconds`.

    None if there are none.
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
        **_first_of_each_kind(told, chosen),
    )


def _first_of_each_kind(
    told: StreamColumns, chosen: slice | NDArray[np.uint32]
) -> dict[str, float | None]:
    """Fields of a report with the first moments of text, reasoning and tool calls."""
    return {
        f"first_{kind}_{q}_ms": quantile_ms(
            _measured(getattr(told, f"first_{kind}_s")[chosen]), quantile
        )
        for kind in ("text", "reasoning", "tool_call")
        for q, quantile in (("p50", 0.5), ("p99", 0.99))
    }


def _measured(values_s: NDArray[np.float32]) -> NDArray[np.float32]:
    return values_s[np.isfinite(values_s)]
