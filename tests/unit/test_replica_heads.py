"""New replicas whose logs are read, where there are too many to read all."""

from collections.abc import Sequence

from probes.logs.replica_heads import by_weight, new_replicas
from scalelag.record.rows import Transition


def came(deployment: str, replica: str, listed_s: float, ran_s: float | None) -> list[Transition]:
    """Transitions of a replica that was listed, and became RUNNING, at these moments."""

    def change(at_s: float, from_state: str | None, to_state: str) -> Transition:
        return Transition(deployment, replica, at_s, at_s - 0.2, from_state, to_state)

    started = [change(listed_s, None, "STARTING")]
    return started if ran_s is None else [*started, change(ran_s, "STARTING", "RUNNING")]


def order(changes: Sequence[list[Transition]]) -> list[str]:
    return [new.replica for new in by_weight(new_replicas([c for of in changes for c in of]))]


def test_those_that_ended_a_rise_come_first_the_last_rise_before_others():
    rises = [came("a/D", f"one{n}", n, 10 + 0.5 * n) for n in range(4)]
    rises += [came("a/D", f"two{n}", 20 + n, 30 + 0.5 * n) for n in range(4)]

    assert order(rises) == ["two3", "one3", "two2", "two1", "two0", "one2", "one1", "one0"]


def test_all_that_one_poll_saw_at_the_end_of_a_rise_may_have_ended_it():
    rise = [came("a/D", f"r{n}", n, 10 if n < 3 else 11) for n in range(5)]

    assert set(order(rise)[:2]) == {"r3", "r4"}


def test_each_deployment_has_its_turn():
    many = [came("a/Big", f"big{n}", n, 10 + 0.1 * n) for n in range(50)]
    few = [came("b/Small", f"small{n}", -9 + n, 5 + 0.1 * n) for n in range(3)]

    assert order([*many, *few])[:6] == ["big49", "small2", "big48", "small1", "big47", "small0"]


def test_one_that_never_ran_is_among_the_others_by_when_it_came():
    found = order(
        [came("a/D", "waits", 9, None), came("a/D", "ran", 1, 5), came("a/D", "old", 0, 4)]
    )

    assert found == ["ran", "waits", "old"]
