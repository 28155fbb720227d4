"""Numbers of tokens that a run asks for, and chance that is the same in each process."""

import re

import msgspec

from scalelag.errors import UsageError
from scalelag.plan.trace_rows import MOST_TOKENS

_ALL_BITS = 2**64 - 1
_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:\.\.\s*(\d{1,9})\s*)?")


class TokenRange(msgspec.Struct, frozen=True):
    """Numbers of tokens from `least` to `most`, all of them equally likely."""

    least: int
    most: int

    @property
    def text(self) -> str:
        """Range as it is written: `200` or `100..400`."""
        return f"{self.least}" if self.least == self.most else f"{self.least}..{self.most}"

    def pick(self, chance: int) -> int:
        """Return the number of tokens that `chance`, 64 random bits, stands for."""
        return self.least + chance % (self.most - self.least + 1)


def parse_tokens(text: str) -> TokenRange:
    """Return the range of `200` or `100..400`. Raises UsageError."""
    match = _RANGE.fullmatch(text)
    least = int(match[1]) if match else 0
    most = int(match[2] or match[1]) if match else 0
    if not 1 <= least <= most <= MOST_TOKENS:
        raise UsageError(
            f'"{text}": give a number of tokens such as 200, or a range such as 100..400, from 1 up to '
            f"{MOST_TOKENS:,}"
        )
    return TokenRange(least, most)


def mixed(*parts: int) -> int:
    """Return 64 bits that look random, the same for the same `parts` in each process.

    Each step is SplitMix64 (Steele, Lea and Flood 2014); with other last parts the bits are others.
    """
    value = 0
    for part in parts:
        value = (value + part + 0x9E3779B97F4A7C15) & _ALL_BITS
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _ALL_BITS
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _ALL_BITS
        value ^= value >> 31
    return value
