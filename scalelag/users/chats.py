"""Requests with prompts of given lengths, and the conversations that they are turns of."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from scalelag.errors import UNREADABLE
from scalelag.options.request_spec import RequestSpec
from scalelag.plugin.worker.recorder import PromptFacts
from scalelag.prompts.asks import Asks, Text
from scalelag.prompts.body import ChatBody, escaped, said
from scalelag.prompts.plan import PromptPlan, Turn
from scalelag.users.engine.chat_chunks import whole_chunk


class Said(NamedTuple):
    """An answer: its text, and its tokens as far as they were counted."""

    text: str
    tokens: int


def said_in(content: bytes) -> Said:
    """Return text and tokens of a whole chat or response, which is JSON; none of anything else."""
    try:
        chunk = whole_chunk(msgspec.json.decode(content))
    except UNREADABLE:
        return Said("", 0)
    return Said(chunk.said, chunk.tokens or len(chunk.said.split()))


class Chat(NamedTuple):
    """One request of a chat: `key` picks its model, `text` is the new one as JSON has it."""

    body: bytes
    headers: dict[str, str]
    asked: PromptFacts
    key: int
    text: bytes
    turn: Turn | None


class _History:
    """Messages of a conversation so far, as JSON, and their tokens."""

    def __init__(self) -> None:
        self.messages = b""
        self.tokens = 0

    def add(self, text: bytes, answer: bytes) -> None:
        """Add a turn that was answered."""
        turn = said(b"user", text) + b"," + said(b"assistant", answer)
        self.messages += b"," + turn if self.messages else turn


class Chats:
    """Chats of one user, by the numbers of its arrivals, and the conversations that go on.

    A turn that failed is left out of what is sent with the next one.
    """

    def __init__(self, plan: PromptPlan, spec: RequestSpec, next_number: Callable[[], int]) -> None:
        self._plan = plan
        self._asks = Asks(plan)
        self._body = ChatBody(spec.body)
        self._next_number = next_number
        self._histories: dict[int, _History] = {}
        self._own_turn: Turn | None = None

    def line_of(self, own: int) -> int | None:
        """Return the conversation of an arrival of the open loop; None if it is no part of one."""
        turn = self._asks.turn_of(own)
        return None if turn is None else turn.session

    @property
    def has_lines(self) -> bool:
        """Return whether arrivals of the open loop wait for one another."""
        return self._plan.has_sessions

    def of_arrival(self, own: int) -> Chat:
        """Return the request of this process's arrival `own` of the open loop."""
        return self._chat(self._asks.number_of(own), own, self._asks.turn_of(own))

    def next(self) -> Chat:
        """Return the next request of this user in the closed loop."""
        turns = self._plan.turns
        if not turns:
            return self._chat(self._next_number(), 0, None)
        last = self._own_turn
        if last is None or last.is_last:
            turn = Turn(self._next_number(), 1, turns == 1)
        else:
            turn = Turn(last.session, last.turn + 1, last.turn + 1 == turns)
        self._own_turn = turn
        return self._chat(turn.session * turns + turn.turn - 1, 0, turn)

    def _chat(self, number: int, own: int, turn: Turn | None) -> Chat:
        history = _History() if turn is None else self._histories.get(turn.session, _History())
        prompt = self._asks.prompt(number, own, turn, history.tokens)
        tokens = 0 if prompt is None else history.tokens + prompt.tokens
        prompt = prompt or Text(self._body.own_text, 0)
        answer = self._asks.answer_tokens(number, own)
        asked = PromptFacts(tokens, answer or 0)
        headers: dict[str, str] = {}
        if turn is not None:
            asked = asked._replace(session=turn.session, turn=turn.turn)
            headers[self._plan.session_header] = f"{self._plan.seed}-{turn.session}"
            self._histories[turn.session] = history
        body = self._body.filled(history.messages, prompt.text, answer)
        key = number if turn is None else turn.session
        return Chat(body, headers, asked, key, prompt.text, turn)

    def ended(self, chat: Chat, answer: Said | None) -> None:
        """Take the answer of a request into its conversation; None if it failed."""
        turn = chat.turn
        if turn is None:
            return
        if turn.is_last:
            self._histories.pop(turn.session, None)
        elif answer is not None and (history := self._histories.get(turn.session)) is not None:
            history.add(chat.text, escaped(answer.text))
            history.tokens = chat.asked.prompt_tokens + answer.tokens

    def dropped(self, own: int) -> None:
        """Forget the conversation of an arrival that was not sent, if it was its last turn."""
        turn = self._asks.turn_of(own)
        if turn is not None and turn.is_last:
            self._histories.pop(turn.session, None)
