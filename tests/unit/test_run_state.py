"""The table of the states of a run."""

from itertools import pairwise

import pytest

from scalelag.plugin.leader.run_state import TRANSITIONS, RunProgress, RunState, TransitionError

WHOLE = [
    *(RunState.CHECKING, RunState.PREPARED, RunState.WAITING, RunState.LOADING),
    *(RunState.DRAINING, RunState.FINISHING, RunState.DONE),
]


def at(state: RunState) -> RunProgress:
    """Progress of a run that has come to `state` by the shortest way."""
    ways = {RunState.IDLE: []}
    while state not in ways:
        for start, way in list(ways.items()):
            for to in TRANSITIONS[start]:
                ways.setdefault(to, [*way, to])
    progress = RunProgress()
    for to in ways[state]:
        progress.move(to)
    return progress


def test_a_run_goes_through_all_states_and_another_may_follow():
    progress = RunProgress()

    for state in [*WHOLE, RunState.CHECKING]:
        progress.move(state)

    assert progress.state is RunState.CHECKING


@pytest.mark.parametrize("start", RunState)
@pytest.mark.parametrize("to", RunState)
def test_only_moves_of_the_table_are_allowed(start, to):
    progress = at(start)

    if to in TRANSITIONS[start]:
        progress.move(to)
        assert progress.state is to
    else:
        with pytest.raises(TransitionError, match=f"{start.value} cannot become {to.value}"):
            progress.move(to)
        assert progress.state is start


def test_a_directory_is_opened_and_closed_on_one_way_only():
    """LOADING is entered from one state, and left for FINISHING on every way."""
    into = [start for start, ends in TRANSITIONS.items() if RunState.LOADING in ends]
    closing = [start for start, ends in TRANSITIONS.items() if RunState.DONE in ends]

    assert (into, closing) == ([RunState.WAITING], [RunState.FINISHING])
    assert all(b in TRANSITIONS[a] for a, b in pairwise(WHOLE))


def test_each_state_but_finishing_is_of_one_kind():
    kinds = {state: (state.is_unopened, state.is_open, state.is_over) for state in RunState}

    assert kinds.pop(RunState.FINISHING) == (False, False, False)
    assert all(sum(kind) == 1 for kind in kinds.values())
