"""Texts of an exact number of words, cut from one long text that is made before the load."""

from array import array
from functools import lru_cache

import numpy as np

from scalelag.prompts.token_range import mixed

_POOL = 65_536
_MARK_WORDS = 4
"""Words at the beginning of a text that stand for its key, so that no two begin alike by chance."""


class Texts:
    """Texts from `words` and a seed. Cutting one takes a microsecond, and one per 10 kB of it."""

    def __init__(self, words: tuple[str, ...], seed: int) -> None:
        random = np.random.Generator(np.random.PCG64(seed))
        chosen = [words[at] for at in random.integers(0, len(words), _POOL).tolist()]
        self._text = " ".join(chosen).encode()
        sizes = np.array([len(word) + 1 for word in chosen])
        # Where each word begins, and where one more would.
        self._begins = array("L", np.concatenate(([0], np.cumsum(sizes))).tolist())
        self._words = tuple(word.encode() for word in words)
        self._seed = seed

    def of(self, kind: int, key: int, count: int) -> bytes:
        """Return the text of `count` words for a key; the same key has the same, cut shorter."""
        bits = mixed(self._seed, kind, key)
        mark: list[bytes] = []
        rest = bits >> 32
        low = bits & 0xFFFFFFFF
        for _ in range(min(count, _MARK_WORDS)):
            low, at = divmod(low, len(self._words))
            mark.append(self._words[at])
        return b" ".join([*mark, *self._pieces(rest % _POOL, count - len(mark))])

    def _pieces(self, at: int, count: int) -> list[bytes]:
        """Return words of the pool from `at` on; its beginning comes after its end."""
        pieces: list[bytes] = []
        while count > 0:
            taken = min(count, _POOL - at)
            pieces.append(self._text[self._begins[at] : self._begins[at + taken] - 1])
            at, count = 0, count - taken
        return pieces


@lru_cache(maxsize=2)
def texts(words: tuple[str, ...], seed: int) -> Texts:
    """Return the texts of a run; all users of a process share them."""
    return Texts(words, seed)
