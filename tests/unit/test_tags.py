"""Tags that leave a test no task."""

import pytest

from scalelag.errors import UsageError
from tests.support.unpatched import import_unpatched


@pytest.fixture(scope="module")
def users():
    """User classes: with tagged tasks, with a set of tasks, and with tasks without tags."""
    locust = import_unpatched("locust")

    class Tagged(locust.User):
        @locust.tag("a", "b")
        @locust.task
        def ask(self):
            pass

    class Nested(locust.User):
        @locust.task
        class Inner(locust.TaskSet):
            @locust.tag("c")
            @locust.task
            def ask(self):
                pass

    class Plain(locust.User):
        @locust.task
        def ask(self):
            pass

    return {"Tagged": Tagged, "Nested": Nested, "Plain": Plain}


def check(users, names, tags=None, excluded=None):
    module = import_unpatched("scalelag.users.tags")
    module.check_tags([users[name] for name in names.split()], tags, excluded)


@pytest.mark.parametrize(
    ("names", "tags", "excluded"),
    [
        ("Plain", None, None),
        ("Plain", [], ["a"]),
        ("Plain Tagged", ["b"], None),
        ("Nested", ["c"], ["a"]),
        ("Tagged", ["a", "zzz"], ["c"]),
    ],
)
def test_tags_that_leave_a_task_to_some_user_are_locusts_business(users, names, tags, excluded):
    check(users, names, tags, excluded)


@pytest.mark.parametrize(
    ("names", "tags", "excluded", "said"),
    [
        ("Plain", ["a"], None, "--tags a: no task of Plain is left."),
        ("Plain Nested", ["b", "a"], None, "--tags a b: no task of Plain, Nested is left."),
        ("Tagged", ["a"], ["b"], "--tags a --exclude-tags b: no task of Tagged is left."),
        ("Nested", None, ["c"], "--exclude-tags c: no task of Nested is left."),
    ],
)
def test_tags_that_leave_no_task_are_refused(users, names, tags, excluded, said):
    with pytest.raises(UsageError) as refused:
        check(users, names, tags, excluded)

    assert str(refused.value).startswith(said)
