"""Arrivals of a mix: each request has an arrival process of its own, and they are merged.

Marks are values of the integral of the whole load's rate: at mark 40.5 the load of the stage has asked
for 40.5 requests.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from scalelag.plan.arrivals import arrivals_within
from scalelag.plan.mix import Mix

# Small: a block is merged between two arrivals, and none of them may be late for it.
_BLOCK = 1024
_TRIED = 120

Marks = NDArray[np.float64]
Numbers = NDArray[np.uint16]


class MixedMarks:
    """Marks of one stage after the other; what rounding takes from a request is made up later."""

    def __init__(self, mix: Mix, seed: int) -> None:
        self._mix = mix
        self._seed = seed
        self._owed = np.zeros(len(mix.names))

    def of_stage(self, stage: int, expected: float) -> Iterator[tuple[Marks, Numbers]]:
        """Yield ascending marks up to `expected`, and the number of the request of each.

        Constant arrivals of a request are evenly spaced. Each request begins at a place of its own,
        so that arrivals of different requests are due far apart (`_places`). All requests together
        are as many as without a mix; each has its share of them, rounded.
        """
        if expected <= 0:
            return
        shares = self._mix.shares(stage)
        kinds = self._mix.arrivals
        constant = [i for i, share in enumerate(shares) if share and kinds[i] == "constant"]
        streams: dict[int, Iterator[Marks]] = {
            i: _poisson(expected, share, (self._seed, stage, i))
            for i, share in enumerate(shares)
            if share and kinds[i] == "poisson"
        }
        counts = self._counts(expected, shares, constant)
        ranked = sorted((i for i in constant if counts[i]), key=lambda i: -counts[i])
        places = _places([counts[i] for i in ranked])
        for i, place in zip(ranked, places, strict=True):
            streams[i] = _constant(expected, counts[i], place)
        yield from _merged(streams)

    def _counts(
        self, expected: float, shares: Sequence[float], constant: Sequence[int]
    ) -> dict[int, int]:
        """Numbers of constant arrivals in a stage, by request."""
        if not constant:
            return {}
        whole = len(constant) == sum(share > 0 for share in shares)
        part = 1.0 if whole else math.fsum(shares[i] for i in constant)
        total = arrivals_within(expected * part)
        chosen = np.array(constant)
        wanted = total * np.array([shares[i] for i in constant]) / part + self._owed[chosen]
        counts = allotted(total, wanted)
        self._owed[chosen] = wanted - counts
        return dict(zip(constant, counts.tolist(), strict=True))


def allotted(total: int, wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round `wanted` to counts of 0 and more that sum up to `total`: the largest remainders go up."""
    counts = np.maximum(np.floor(wanted), 0).astype(np.int64)
    while left := total - int(counts.sum()):
        step = 1 if left > 0 else -1
        rest = np.where((counts > 0) | (step > 0), (wanted - counts) * step, -np.inf)
        counts[np.argsort(-rest, kind="stable")[: abs(left)]] += step
        counts = np.maximum(counts, 0)
    return counts


def _places(counts: Sequence[int]) -> list[float]:
    """Return where each stream of a stage begins, in its own periods; largest `counts` first.

    Arrivals of two streams, a and b in number, differ as their beginnings do, and by multiples of
    1 / lcm(a, b) of the stage: they come as near to each other as their beginnings to one of these.
    Each takes the place of `_TRIED` that is farthest from all before it, unless steps of the mean
    distance leave more room, as they do for equal streams.
    """
    if not counts:
        return []
    total = sum(counts)
    stepped = np.array([rank / total for rank in range(len(counts))])
    chosen = np.zeros(len(counts))
    for rank, count in enumerate(counts):
        tried = np.arange(_TRIED) / _TRIED / count
        room = _room(tried, chosen[:rank], count, counts[:rank])
        chosen[rank] = tried[int(np.argmax(room.round(12)))]
    begins = max(stepped, chosen, key=lambda begins: _least_room(begins, counts))
    # The k-th largest of n counts is at most their sum over k: all are below 1.
    return [float(begin * count) for begin, count in zip(begins, counts, strict=True)]


def _room(begins: Marks, others: Marks, count: int, counts: Sequence[int]) -> NDArray[np.float64]:
    """Distance of each beginning of a stream with `count` arrivals to the nearest of other streams."""
    room = np.full(begins.size, np.inf)
    for begin, other in zip(others, counts, strict=True):
        period = 1 / math.lcm(count, other)
        apart = np.abs(begins - begin) % period
        room = np.minimum(room, np.minimum(apart, period - apart))
    return room


def _least_room(begins: Marks, counts: Sequence[int]) -> float:
    """Return the smallest distance between arrivals of two streams, as a share of the stage."""
    rooms = [
        _room(begins[rank : rank + 1], begins[:rank], count, counts[:rank])[0]
        for rank, count in enumerate(counts)
    ]
    return round(float(min(rooms)), 12)


def _constant(expected: float, count: int, place: float) -> Iterator[Marks]:
    for first in range(0, count, _BLOCK):
        numbers = np.arange(first, min(first + _BLOCK, count), dtype=np.float64)
        yield (numbers + place) * (expected / count)


def _poisson(expected: float, share: float, seed: tuple[int, int, int]) -> Iterator[Marks]:
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    reached = 0.0
    while reached < expected:
        marks = reached + np.cumsum(random.standard_exponential(_BLOCK)) / share
        reached = float(marks[-1])
        yield marks[marks < expected]


def _merged(streams: dict[int, Iterator[Marks]]) -> Iterator[tuple[Marks, Numbers]]:
    """Merge ascending streams, by the numbers of their requests, as far as all of them are known."""
    held: dict[int, Marks] = {}
    while True:
        for number in list(streams):
            while number in streams and not held.get(number, _NONE).size:
                block = next(streams[number], None)
                if block is None:
                    del streams[number]
                    held.pop(number, None)
                else:
                    held[number] = block
        if not held:
            return
        known = min(float(marks[-1]) for marks in held.values())
        ends = {n: int(np.searchsorted(marks, known, side="right")) for n, marks in held.items()}
        marks = np.concatenate([held[n][:end] for n, end in ends.items()])
        numbers = np.repeat(np.array(list(ends), np.uint16), list(ends.values()))
        held = {n: held[n][end:] for n, end in ends.items()}
        order = np.argsort(marks, kind="stable")
        yield marks[order], numbers[order]


_NONE = np.empty(0)
