"""Facts about the prompts of a run, for its record."""

import msgspec

OF_TRACE = "trace"
"""In place of a range: the lengths of the trace."""

SESSION_HEADER = "X-Session-Id"
"""Header with the id of a conversation, unless the options name another one."""


class PromptInfo(msgspec.Struct, frozen=True):
    """Manner in which the prompts of a run were made, part of `run.json`.

    `tokenizer` counted them, `words` without one; `library` is its package and version. Lengths are
    ranges such as `100..400`, `trace`, or None if they are as in the body. `blocks`: their beginnings
    are shared as the trace tells. `sessions` are those at the same time, or all of a trace; `turns` is
    None if a trace gives them.
    """

    tokenizer: str
    library: str | None = None
    prompt_tokens: str | None = None
    max_tokens: str | None = None
    prefix_groups: int = 0
    prefix_tokens: int = 0
    blocks: bool = False
    sessions: int | None = None
    turns: int | None = None
    session_header: str | None = None

    @property
    def counted_by(self) -> str:
        """Name of the tokenizer, or `words`, for people."""
        return self.tokenizer if self.library is None else f"{self.tokenizer} ({self.library})"
