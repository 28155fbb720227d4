"""Lengths of prompts and answers as asked and as counted, and waits for turns (docs/metrics.md)."""

import numpy as np
from numpy.typing import NDArray

from reports.analysis.load.quantiles import quantile_ms
from reports.model.prompts import PromptReport, SessionReport
from scalelag.prompts.info import PromptInfo
from scalelag.record.requests_file import AskedColumns, RequestColumns


def prompt_report(rows: RequestColumns, made: PromptInfo | None) -> PromptReport | None:
    """Report of the prompts that were `made`; None if requests were sent as the body had them."""
    if made is None:
        return None
    asked, streams = rows.asked, rows.streams
    ours = np.isin(streams.row, asked.row)
    whole = ours & (rows.error[streams.row] < 0)
    return PromptReport(
        requests=int(asked.row.size),
        counted_by=made.counted_by,
        **_quantiles("prompt_tokens_asked", asked.asked_prompt_tokens),
        **_quantiles("prompt_tokens", streams.prompt_tokens[ours]),
        **_quantiles("answer_tokens_asked", asked.asked_tokens),
        **_quantiles("answer_tokens", streams.tokens[whole]),
        sessions=None if made.session_header is None else _sessions(asked),
    )


def _quantiles(name: str, tokens: NDArray[np.uint32]) -> dict[str, float | None]:
    """Fields of a report with median and p95 of lengths; 0 is a length that is not known."""
    known = tokens[tokens > 0]
    return {
        f"{name}_{q}": float(np.quantile(known, quantile)) if known.size else None
        for q, quantile in (("p50", 0.5), ("p95", 0.95))
    }


def _sessions(asked: AskedColumns) -> SessionReport:
    is_turn = asked.turn > 0
    _, turns = np.unique(asked.session[is_turn], return_counts=True)
    # A turn that broke off before its answer has a wait alone.
    can_wait = (asked.turn > 1) | (asked.turn_wait_s > 0)
    waits_s = asked.turn_wait_s[can_wait].astype(np.float32)
    return SessionReport(
        sessions=int(turns.size),
        turns=int(turns.sum()),
        turns_max=int(turns.max()) if turns.size else 0,
        waited=int(np.count_nonzero(waits_s > 0)),
        turn_wait_p50_ms=quantile_ms(waits_s, 0.5),
        turn_wait_p95_ms=quantile_ms(waits_s, 0.95),
        turn_wait_max_ms=quantile_ms(waits_s, 1.0),
    )
