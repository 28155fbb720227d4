"""Steps that were measured on one side of a comparison and hardly on the other.

The median of a run over other steps is another figure: a step that takes long in every build would
make the side slower that had no lag in the short ones.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

import msgspec

from reports.analysis.comparing.samples import Samples, figures_of
from reports.model.report import Report
from scalelag.wording import count

_MORE = 0.5
OTHER_STEPS = "the two sides were measured in other steps"


class UnevenSteps(msgspec.Struct, frozen=True):
    """Steps of each figure that do not count, with the numbers of runs that measured them.

    Nothing would be left of the figures `apart`, of which each side has steps that the other lacks.
    """

    steps: Mapping[str, Mapping[str, tuple[int, int]]] = {}
    apart: frozenset[str] = frozenset()

    def told(self, names: frozenset[str], base: int, candidate: int) -> Iterator[str]:
        """Sentences on steps left out of the figures `names`, of `base` and `candidate` runs."""
        for name in sorted(names & self.steps.keys()):
            for step, (ours, theirs) in sorted(self.steps[name].items()):
                yield (
                    f"{name}: step {step} was measured in {ours} of {count(base, 'run')} of the base "
                    f"and in {theirs} of {candidate} of the candidate: it counts on neither side"
                )


def uneven_steps(base: Mapping[str, Report], candidate: Mapping[str, Report]) -> UnevenSteps:
    """Find the steps whose shares of measured runs differ by more than half."""
    sides = (_measured(base), _measured(candidate))
    found: dict[str, dict[str, tuple[int, int]]] = {}
    apart: set[str] = set()
    for name in sides[0].keys() & sides[1].keys():
        ours, theirs = sides[0][name], sides[1][name]
        everything = ours.keys() | theirs.keys()
        uneven = {
            step: (ours[step], theirs[step])
            for step in everything
            if abs(ours[step] / len(base) - theirs[step] / len(candidate)) > _MORE
        }
        left = everything - uneven.keys()
        if all(any(side[step] for step in left) for side in (ours, theirs)):
            found |= {name: uneven} if uneven else {}
        elif (
            len({mine / len(base) > other / len(candidate) for mine, other in uneven.values()}) > 1
        ):
            apart.add(name)
    return UnevenSteps(found, frozenset(apart))


def _measured(side: Mapping[str, Report]) -> dict[str, Counter[str]]:
    """Number of runs that measured each step of each figure."""
    found: dict[str, Counter[str]] = {}
    for name, values in chain.from_iterable(figures_of(one).items() for one in side.values()):
        found.setdefault(name, Counter()).update(values.keys())
    return found


def marked_apart(samples: Samples, uneven: UnevenSteps) -> Samples:
    """The samples, in which figures that were measured in other steps are unlike."""
    return {
        name: msgspec.structs.replace(sample, unlike=sample.unlike or OTHER_STEPS)
        if name in uneven.apart
        else sample
        for name, sample in samples.items()
    }
