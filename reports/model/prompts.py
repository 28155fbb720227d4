"""Prompts that the run made: their lengths as asked and as counted, and the sessions."""

import msgspec


class SessionReport(msgspec.Struct, frozen=True):
    """Conversations of a run, and how long their turns waited for the answer before.

    `turns` were sent, at most `turns_max` in one conversation. `waited` of them were due before the
    answer before them had ended: their latency counts from its end. `turn_wait` is the time from when
    a turn was due to that end, over all turns but the first ones.
    """

    sessions: int
    turns: int
    turns_max: int
    waited: int
    turn_wait_p50_ms: float | None = None
    turn_wait_p95_ms: float | None = None
    turn_wait_max_ms: float | None = None


class PromptReport(msgspec.Struct, frozen=True):
    """Lengths in tokens of `requests` whose prompts the run made, `counted_by` words or a tokenizer.

    Asked lengths are those that were sent: of a whole prompt, with all turns before it, and of the
    answer at most. The others are as the server counts them, null if it does not; of answers also as
    they came.
    """

    requests: int
    counted_by: str
    prompt_tokens_asked_p50: float | None = None
    prompt_tokens_asked_p95: float | None = None
    prompt_tokens_p50: float | None = None
    prompt_tokens_p95: float | None = None
    answer_tokens_asked_p50: float | None = None
    answer_tokens_asked_p95: float | None = None
    answer_tokens_p50: float | None = None
    answer_tokens_p95: float | None = None
    sessions: SessionReport | None = None
