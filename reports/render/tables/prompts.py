"""Tables of the prompts that a run made, and of its sessions."""

from reports.model.load import LoadReport
from reports.render.tables.table import Column, Table
from reports.render.text import NOT_MEASURED, milliseconds, shortened
from scalelag.wording import count


def prompt_table(load: LoadReport) -> Table | None:
    """Lengths of prompts and answers as asked and as counted; None without prompts of ours."""
    made = load.prompts
    if made is None:
        return None
    columns = (
        Column("tokens", "words", key=True),
        Column("p50", group="asked", alone="asked p50"),
        Column("p95", group="asked", alone="asked p95"),
        Column("p50", group="counted", alone="counted p50"),
        Column("p95", group="counted", alone="counted p95"),
    )
    prompts = (
        made.prompt_tokens_asked_p50,
        made.prompt_tokens_asked_p95,
        made.prompt_tokens_p50,
        made.prompt_tokens_p95,
    )
    answers = (
        made.answer_tokens_asked_p50,
        made.answer_tokens_asked_p95,
        made.answer_tokens_p50,
        made.answer_tokens_p95,
    )
    caption = (
        f"Lengths of {count(made.requests, 'prompt')} and their answers in tokens, asked by "
        f"{shortened(made.counted_by, 60)} and as the server counts them"
    )
    rows = (("prompt", *map(_tokens, prompts)), ("answer", *map(_tokens, answers)))
    return Table(caption, columns, rows)


def _tokens(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.0f}"


def session_table(load: LoadReport) -> Table | None:
    """Conversations, and how long their turns waited; None without any."""
    found = load.prompts and load.prompts.sessions
    if not found:
        return None
    columns = (
        Column("sessions"),
        Column("turns"),
        Column("most turns"),
        Column("waited"),
        Column("p50", group="wait for the turn ms", alone="wait p50 ms"),
        Column("p95", group="wait for the turn ms", alone="wait p95 ms"),
        Column("max", group="wait for the turn ms", alone="wait max ms"),
    )
    row = (
        f"{found.sessions:,}",
        f"{found.turns:,}",
        f"{found.turns_max:,}",
        f"{found.waited:,}",
        milliseconds(found.turn_wait_p50_ms),
        milliseconds(found.turn_wait_p95_ms),
        milliseconds(found.turn_wait_max_ms),
    )
    caption = "Sessions; a turn that is due waits for the end of the answer before it"
    return Table(caption, columns, (row,))
