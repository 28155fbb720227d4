"""Asks of arrivals: the prompt of each, its tokens, and the turn that it is."""

from typing import NamedTuple

from scalelag.prompts.plan import PromptPlan, Turn, unpacked
from scalelag.prompts.texts import texts
from scalelag.prompts.token_range import mixed

# Kinds of keys: no prefix begins like a prompt by chance.
_PROMPT, _PREFIX, _BLOCK = 1, 2, 3
# Kinds of chance.
_PROMPT_LENGTH, _ANSWER_LENGTH, _GROUP = 11, 12, 13


class Text(NamedTuple):
    """Text of words, and its tokens."""

    text: bytes
    tokens: int


class Asks:
    """Asks of the arrivals of one process, by their numbers in it, from 0."""

    def __init__(self, plan: PromptPlan) -> None:
        self._plan = plan
        self._texts = texts(plan.vocabulary.words, plan.seed)
        # Slots of conversations that this process has.
        self._own = len(range(plan.index, plan.sessions, plan.count))
        rows = plan.rows
        self._numbers = None if rows is None else unpacked(rows.numbers)
        self._prompts = None if rows is None else unpacked(rows.prompt_tokens)
        self._answers = None if rows is None else unpacked(rows.answer_tokens)
        self._blocks = None if rows is None else unpacked(rows.blocks)
        self._ends = None if rows is None else unpacked(rows.ends)
        self._sessions = None if rows is None else unpacked(rows.sessions)
        self._turns = None if rows is None else unpacked(rows.turns)
        self._left = None if rows is None else unpacked(rows.left)

    def number_of(self, own: int) -> int:
        """Number in the whole plan of this process's arrival `own`."""
        plan = self._plan
        if self._numbers is not None:
            return int(self._numbers[own])
        if plan.sessions:
            rounds, at = divmod(own, self._own)
            return rounds * plan.sessions + plan.index + at * plan.count
        return plan.index + own * plan.count

    def turn_of(self, own: int) -> Turn | None:
        """Turn that this process's arrival `own` is; None if it is no part of a conversation."""
        if self._sessions is not None and self._turns is not None and self._left is not None:
            if not self._sessions.size:
                return None
            return Turn(int(self._sessions[own]), int(self._turns[own]), self._left[own] == 0)
        if not self._plan.sessions:
            return None
        return self.turn_in_slots(self.number_of(own))

    def turn_in_slots(self, number: int) -> Turn:
        """Turn of arrival `number` of a plan in which conversations take turns."""
        rounds, slot = divmod(number, self._plan.sessions)
        before, turn = divmod(rounds, self._plan.turns)
        session = before * self._plan.sessions + slot
        return Turn(session, turn + 1, turn + 1 == self._plan.turns)

    def answer_tokens(self, number: int, own: int) -> int | None:
        """Maximum tokens to ask for; None if the options say nothing of it."""
        plan = self._plan
        if plan.answer is not None:
            return plan.answer.pick(mixed(plan.seed, _ANSWER_LENGTH, number))
        if self._answers is not None and self._answers.size:
            return max(1, int(self._answers[own]))
        return None

    def prompt(self, number: int, own: int, turn: Turn | None, said: int) -> Text | None:
        """Return the new text of a request, in a conversation of `said` tokens so far.

        Options give the length of the new text, a trace gives that of the whole prompt. None if
        neither gives one.
        """
        plan = self._plan
        begins = turn is None or turn.turn == 1
        if plan.prompt is not None:
            tokens = plan.prompt.pick(mixed(plan.seed, _PROMPT_LENGTH, number))
        elif self._ends is not None and self._ends.size and begins:
            return self._of_blocks(number, own)
        elif self._prompts is not None and self._prompts.size:
            tokens = max(1, int(self._prompts[own]) - said)
        else:
            return None
        group = self.group_of(number if turn is None else turn.session)
        shared = min(plan.prefix_tokens, tokens) if begins and group is not None else 0
        pieces = [self._texts.of(_PREFIX, group or 0, shared)] if shared else []
        if tokens > shared:
            pieces.append(self._texts.of(_PROMPT, number, tokens - shared))
        return Text(b" ".join(pieces), tokens)

    def group_of(self, key: int) -> int | None:
        """Group whose prefix a prompt or a conversation begins with; None without groups."""
        groups = self._plan.prefix_groups
        return mixed(self._plan.seed, _GROUP, key) % groups if groups else None

    def _of_blocks(self, number: int, own: int) -> Text:
        """Return a prompt of the trace's blocks, the last cut, and of words of its own after them."""
        assert self._blocks is not None
        assert self._ends is not None
        size = self._plan.rows.block_tokens if self._plan.rows else 1
        begin = int(self._ends[own - 1]) if own else 0
        blocks = self._blocks[begin : int(self._ends[own])].tolist()
        known = self._prompts is not None and self._prompts.size
        tokens = int(self._prompts[own]) if self._prompts is not None and known else 0
        tokens = max(1, tokens if known else size * len(blocks))
        pieces: list[bytes] = []
        left = tokens
        for block in blocks[: -(-tokens // size)]:
            pieces.append(self._texts.of(_BLOCK, block, min(size, left)))
            left -= min(size, left)
        if left:
            pieces.append(self._texts.of(_PROMPT, number, left))
        return Text(b" ".join(pieces), tokens)
