"""Users stay with the processes among which the run was shared out."""

from types import SimpleNamespace

import pytest

from tests.support.unpatched import import_unpatched


class Closed:
    """A user class with the attributes that dispatchers use."""

    fixed_count = 0
    weight = 1


class Open(Closed):
    """Another."""


CLASSES = [Closed, Open]


@pytest.fixture(scope="module")
def ours():
    """The module under test, imported without Locust's monkey-patching of this very process."""
    return import_unpatched("scalelag.plugin.leader.workers.dispatchers")


def node(name):
    return SimpleNamespace(id=name)


@pytest.fixture
def open_loop(ours):
    return lambda *workers, members, is_open=True: ours.OpenLoopDispatcher(
        [node(name) for name in workers], CLASSES, members.__contains__, lambda: is_open
    )


@pytest.fixture
def closed_loop(ours):
    return lambda *workers, members, is_open=True: ours.ClosedLoopDispatcher(
        [node(name) for name in workers], CLASSES, members.__contains__, lambda: is_open
    )


def dispatched(dispatcher, users: int, user_class: type | None = None) -> dict[str, int]:
    """Users of `user_class` on each worker, once `users` have been dispatched."""
    classes = [user_class] if user_class else None
    dispatcher.new_dispatch(users, float(max(1, users)), classes)
    last = {}
    for last in dispatcher:  # noqa: B007  the last one stands
        pass
    return {worker: sum(counts.values()) for worker, counts in last.items()}


def test_open_loop_each_member_has_one_user_of_the_class_that_is_asked_for(open_loop):
    dispatcher = open_loop("h_a", "h_b", members={"h_a", "h_b"})
    dispatcher.new_dispatch(2, 2.0, [Open])

    assert next(dispatcher) == {
        "h_a": {"Closed": 0, "Open": 1},
        "h_b": {"Closed": 0, "Open": 1},
    }
    assert list(dispatcher) == []


def test_open_loop_nobody_gets_the_user_of_a_worker_that_is_lost(open_loop):
    dispatcher = open_loop("h_a", "h_b", members={"h_a", "h_b"})
    dispatched(dispatcher, 2, Open)

    dispatcher.remove_worker(node("h_a"))

    assert dispatched(dispatcher, 2) == {"h_b": 1}
    assert dispatched(dispatcher, 0) == {"h_b": 0}


@pytest.mark.parametrize("late", ["h_0", "h_ab", "h_z"])
def test_open_loop_nobody_loses_a_user_to_a_worker_that_comes_late(open_loop, late):
    dispatcher = open_loop("h_a", "h_b", members={"h_a", "h_b"})
    dispatched(dispatcher, 2, Open)

    dispatcher.add_worker(node(late))

    assert dispatched(dispatcher, 2) == {"h_a": 1, "h_b": 1, late: 0}


def test_open_loop_a_worker_that_comes_back_keeps_its_user(open_loop):
    dispatcher = open_loop("h_a", "h_b", members={"h_a", "h_b"})
    dispatched(dispatcher, 2, Open)
    dispatcher.remove_worker(node("h_a"))

    dispatcher.add_worker(node("h_a"))

    assert dispatched(dispatcher, 2) == {"h_a": 1, "h_b": 1}


def test_closed_loop_the_others_take_over_the_users_of_a_worker_that_is_lost(closed_loop):
    dispatcher = closed_loop("h_a", "h_b", members={"h_a", "h_b"})
    assert dispatched(dispatcher, 4, Closed) == {"h_a": 2, "h_b": 2}

    dispatcher.remove_worker(node("h_a"))

    assert dispatched(dispatcher, 4) == {"h_b": 4}


@pytest.mark.parametrize("late", ["h_0", "h_ab", "h_z"])
def test_closed_loop_a_worker_that_comes_late_gets_no_users(closed_loop, late):
    dispatcher = closed_loop("h_a", "h_b", members={"h_a", "h_b"})
    dispatched(dispatcher, 4, Closed)

    dispatcher.add_worker(node(late))

    assert dispatched(dispatcher, 6) == {"h_a": 3, "h_b": 3}


def test_closed_loop_a_worker_that_did_not_answer_at_the_start_gets_no_users(closed_loop):
    members = {"h_a", "h_b"}
    dispatcher = closed_loop("h_a", "h_b", members=members)

    members.remove("h_b")  # shared out after the dispatcher was made

    assert dispatched(dispatcher, 3, Closed) == {"h_a": 3}


@pytest.mark.parametrize("kind", ["open_loop", "closed_loop"])
def test_before_the_run_is_open_no_user_starts(request, kind):
    dispatcher = request.getfixturevalue(kind)("h_a", members={"h_a"}, is_open=False)

    assert dispatched(dispatcher, 3) == {"h_a": 0}
