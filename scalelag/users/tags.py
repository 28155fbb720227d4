"""Tags of Locust's: the tasks that `--tags` and `--exclude-tags` leave."""

from collections.abc import Iterable, Sequence
from typing import Any

from locust.user import User
from locust.user.task import is_markov_taskset

from scalelag.errors import UsageError


def check_tags(
    users: Sequence[type[User]], tags: Iterable[str] | None, excluded: Iterable[str] | None
) -> None:
    """Raise UsageError if the tags leave no task to any of `users`: none of them could start."""
    wanted, unwanted = frozenset(tags or ()), frozenset(excluded or ())
    if not (wanted or unwanted) or any(_is_left(user, wanted, unwanted) for user in users):
        return
    given = [("--tags", wanted), ("--exclude-tags", unwanted)]
    flags = " ".join(" ".join([flag, *sorted(names)]) for flag, names in given if names)
    names = ", ".join(user.__name__ for user in users)
    raise UsageError(
        f"{flags}: no task of {names} is left. Give tags that its tasks have (@tag), or leave the "
        "option out."
    )


def _is_left(holder: Any, wanted: frozenset[str], unwanted: frozenset[str]) -> bool:  # noqa: ANN401  class or task
    """Return whether a task, or any in a set of them, is one that Locust keeps."""
    if getattr(holder, "functions", None) or is_markov_taskset(holder):
        return True
    if hasattr(holder, "tasks"):
        return any(_is_left(task, wanted, unwanted) for task in holder.tasks)
    has: frozenset[str] = frozenset(getattr(holder, "locust_tag_set", ()))
    return (not wanted or bool(has & wanted)) and not has & unwanted
