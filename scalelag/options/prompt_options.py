"""The prompts that the options ask for, and what cannot go together."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scalelag.errors import UsageError
from scalelag.options.load_options import AskedLoad
from scalelag.options.prompt_catalog import PROMPT_OPTIONS
from scalelag.options.request_spec import RequestSpec
from scalelag.plan.schedule import DueTimes, Schedule
from scalelag.plan.trace_lengths import Lengths
from scalelag.plan.trace_rows import MOST_TOKENS
from scalelag.prompts.body import ChatBody
from scalelag.prompts.info import OF_TRACE, SESSION_HEADER, PromptInfo
from scalelag.prompts.plan import PromptPlan, TraceRows
from scalelag.prompts.vocabulary import vocabulary
from scalelag.wording import count

_TURNS = 5
MOST_HELD = 500_000_000
"""Maximum tokens of all conversations that go on at the same time: about 3 GB of text."""
_NO_LENGTHS = Lengths(
    np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)
)


class AskedPrompts(msgspec.Struct, frozen=True):
    """Prompts of a run, None if requests are sent as the body has them, and facts for the record.

    `schedule` keeps each conversation in one process.
    """

    schedule: Schedule
    plan: PromptPlan | None = None
    info: PromptInfo | None = None


def asked_prompts(
    values: Mapping[str, Any],
    request: RequestSpec,
    load: AskedLoad,
    *,
    makes_prompts: bool | None,
) -> AskedPrompts:
    """Return the prompts that the parsed `values` ask for, or that the trace of `load` has.

    `makes_prompts`: a user class sends them; None: that is not known yet, and nothing is checked.
    Raises UsageError if options contradict one another, or the body has no place for a prompt.
    """
    given = _given(values)
    without = AskedPrompts(load.schedule)
    if given and makes_prompts is False:
        raise UsageError(
            f"{given[0]}: no user class of this run makes prompts. It is for HttpPlanUser and "
            "ChatUser, as with -f llm_chat.py, without a send() of their own."
        )
    _refuse_unused_header(values, load.lengths, is_known=makes_prompts is not None)
    if not makes_prompts or not (given or load.lengths):
        return without
    if given and request.rows:
        raise UsageError(f"{given[0]} and --data: the rows of --data have prompts of their own.")
    try:
        body = ChatBody(None if request.rows else request.body)
    except UsageError as error:
        if not given:
            return without
        raise UsageError(f"{given[0]}: {error}.") from error
    asked = _PromptRequest(values, load, body)
    plan = asked.plan()
    if plan.has_sessions and plan.session_header.lower() in {n.lower() for n, _ in request.headers}:
        raise UsageError(
            f"--session-header {plan.session_header}: --header sets it, too. Leave one of them out."
        )
    return AskedPrompts(asked.schedule(), plan, asked.info(plan))


def _refuse_unused_header(
    values: Mapping[str, Any], lengths: Lengths | None, *, is_known: bool
) -> None:
    """Raise UsageError for a header of conversations where there are none."""
    header, sessions = values["session_header"], values["sessions"]
    of_trace = sessions is None and lengths is not None and lengths.sessions.size > 0
    if is_known and header != SESSION_HEADER and not (sessions or values["turns"] or of_trace):
        raise UsageError(
            f"--session-header {header}: there are no conversations that it could name. It goes with "
            "--sessions, --turns, or a trace that has sessions."
        )


def _given(values: Mapping[str, Any]) -> list[str]:
    """Return the flags of the options that ask for prompts."""
    return [
        option.flag
        for option in PROMPT_OPTIONS
        if option.default is None and values[option.dest] not in (None, "")
    ]


class _PromptRequest:
    """Options of prompts beside the trace and the body that they go with."""

    def __init__(self, values: Mapping[str, Any], load: AskedLoad, body: ChatBody) -> None:
        self._values = values
        self._schedule = load.schedule
        self._lengths = load.lengths or _NO_LENGTHS
        self._is_trace = isinstance(load.schedule.trace, DueTimes)
        self._of_trace = values["sessions"] is None and self._lengths.sessions.size > 0
        self._check_lengths()
        self._check_prefixes()
        self._check_sessions(body)

    @property
    def _has_lengths(self) -> bool:
        """Return whether the new text of each prompt has a length of its own."""
        lengths = self._lengths
        return self._values["prompt_tokens"] is not None or bool(
            lengths.prompt_tokens.size or lengths.ends.size
        )

    @property
    def _uses_blocks(self) -> bool:
        return self._values["prompt_tokens"] is None and self._lengths.ends.size > 0

    def _check_lengths(self) -> None:
        if self._values["tokenizer"] and not self._has_lengths:
            raise UsageError(
                "--tokenizer goes with --prompt-tokens, or with a trace that has lengths."
            )

    def _check_prefixes(self) -> None:
        groups, tokens = self._values["prefix_groups"], self._values["prefix_tokens"]
        if groups is None and tokens is None:
            return
        if groups is None or tokens is None:
            raise UsageError("--prefix-groups and --prefix-tokens go together.")
        if not self._has_lengths:
            raise UsageError(
                "--prefix-tokens goes with --prompt-tokens, or with a trace that has lengths."
            )
        if self._uses_blocks:
            raise UsageError(
                "--prefix-groups: the trace tells which prompts share their beginnings. Leave the "
                "option out, or give --prompt-tokens as well, which takes the place of its lengths."
            )
        prompt = self._values["prompt_tokens"]
        if prompt is not None and tokens > prompt.least:
            raise UsageError(
                f"--prefix-tokens {tokens}: prompts have from {count(prompt.least, 'token')} "
                f"(--prompt-tokens {prompt.text}), and their prefix is a part of them."
            )

    def _check_sessions(self, body: ChatBody) -> None:
        sessions, turns = self._values["sessions"], self._values["turns"]
        is_users = self._schedule.plan.unit == "users"
        if is_users and sessions:
            raise UsageError(
                "--sessions: in a plan of users each user has one conversation. Leave it out, and give "
                "--turns."
            )
        if not is_users and turns and not sessions:
            raise UsageError("--turns goes with --sessions in a plan of rps.")
        if sessions and self._lengths.sessions.size:
            raise UsageError(
                "--sessions: the trace has sessions of its own. Leave it out, or give 0 to send each "
                "request alone."
            )
        if self._of_trace and self._values["rate_scale"] > 1:
            raise UsageError(
                f"--rate-scale {self._values['rate_scale']:g}: it would repeat turns within the "
                "sessions of the trace. Give --sessions 0 to send each request alone."
            )
        if (sessions or turns or self._of_trace) and body.kind == "prompt":
            raise UsageError(
                "--sessions: a body with a prompt has no place for the turns before. Send messages or "
                "input, or give --sessions 0."
            )
        self._check_size(sessions or 1, turns or (_TURNS if sessions else 0))

    def _check_size(self, sessions: int, turns: int) -> None:
        """Refuse conversations that no machine can hold."""
        prompt, answer = self._values["prompt_tokens"], self._values["max_tokens"]
        of_turn = (prompt.most if prompt else 1) + (answer.most if answer else 1)
        if turns * of_turn > MOST_TOKENS:
            raise UsageError(
                f"--turns {turns}: a conversation of {count(turns * of_turn, 'token')} is more than "
                f"{MOST_TOKENS:,}."
            )
        if sessions * turns * of_turn > MOST_HELD:
            raise UsageError(
                f"--sessions {sessions}: {count(sessions * turns * of_turn, 'token')}, kept in "
                "memory, are "
                f"more than {MOST_HELD:,}. Ask for fewer or shorter ones."
            )

    def _rows(self) -> TraceRows | None:
        """Return rows of a trace of arrivals with what prompts and turns need of it."""
        lengths, values = self._lengths, self._values
        if not self._is_trace or (lengths is _NO_LENGTHS and not values["sessions"]):
            return None
        if values["sessions"]:
            lengths = msgspec.structs.replace(lengths, sessions=self._taken_in_turns())
        if values["prompt_tokens"] is not None:
            lengths = msgspec.structs.replace(
                lengths,
                prompt_tokens=lengths.prompt_tokens[:0],
                blocks=lengths.blocks[:0],
                ends=lengths.ends[:0],
            )
        if values["max_tokens"] is not None:
            lengths = msgspec.structs.replace(lengths, answer_tokens=lengths.answer_tokens[:0])
        with_sessions = self._of_trace or bool(values["sessions"])
        return TraceRows.of(lengths, self._schedule.count(), with_sessions=with_sessions)

    def _taken_in_turns(self) -> NDArray[np.int64]:
        """Return the conversation of each arrival of a trace: they take turns through the slots."""
        sessions, turns = self._values["sessions"], self._values["turns"] or _TURNS
        rounds, slots = np.divmod(np.arange(self._schedule.count()), sessions)
        return rounds // turns * sessions + slots

    def plan(self) -> PromptPlan:
        """Return the plan of the whole run."""
        values = self._values
        in_slots = 0 if self._is_trace else values["sessions"] or 0
        return PromptPlan(
            vocabulary=vocabulary(values["tokenizer"]),
            seed=values["seed"],
            prompt=values["prompt_tokens"],
            answer=values["max_tokens"],
            rows=self._rows(),
            prefix_groups=values["prefix_groups"] or 0,
            prefix_tokens=values["prefix_tokens"] or 0,
            sessions=in_slots,
            turns=0 if self._is_trace else values["turns"] or (_TURNS if in_slots else 0),
            session_header=values["session_header"],
        )

    def schedule(self) -> Schedule:
        """Return the schedule, in which each conversation is sent by one process."""
        schedule, sessions = self._schedule, self._values["sessions"]
        if isinstance(schedule.trace, DueTimes):
            lines = self._taken_in_turns() if sessions else self._lengths.sessions
            if sessions or self._of_trace:
                return msgspec.structs.replace(schedule, trace=schedule.trace.with_lines(lines))
            return schedule
        return msgspec.structs.replace(schedule, lines=sessions or 0)

    def info(self, plan: PromptPlan) -> PromptInfo:
        """Return the facts for the record."""
        values, lengths = self._values, self._lengths
        is_trace = self._has_lengths
        sessions = int(lengths.sessions.max()) + 1 if self._of_trace else values["sessions"]
        turns = (values["turns"] or (_TURNS if sessions else None)) if not self._of_trace else None
        return PromptInfo(
            tokenizer=plan.vocabulary.tokenizer,
            library=plan.vocabulary.library,
            prompt_tokens=plan.prompt.text if plan.prompt else (OF_TRACE if is_trace else None),
            max_tokens=plan.answer.text
            if plan.answer
            else (OF_TRACE if lengths.answer_tokens.size else None),
            prefix_groups=plan.prefix_groups,
            prefix_tokens=plan.prefix_tokens,
            blocks=self._uses_blocks,
            sessions=sessions or None,
            turns=turns,
            session_header=plan.session_header if plan.has_sessions else None,
        )
