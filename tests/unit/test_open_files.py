"""Open files: the limit that a load process raises, and what a request beyond it is called."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from scalelag.plugin.worker import open_files
from scalelag.plugin.worker.request_errors import error_kind
from scalelag.record.error_kinds import OPEN_FILES

PROGRAM = """
import resource, sys
from scalelag.plugin.worker.open_files import raise_open_files

resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
raise_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [(256, 700, 700), (700, 700, 700)],
    ids=["a soft limit below it", "as high as it goes"],
)
def test_the_limit_is_raised_to_the_hard_one(soft: int, hard: int, raised: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(soft), str(hard)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [str(raised), str(hard)]


def test_a_limit_without_end_is_raised_as_far_as_any_load_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))

    open_files.raise_open_files()

    assert asked == [(open_files.MOST, resource.RLIM_INFINITY)]


def test_a_system_that_refuses_leaves_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, limits: tuple[int, int]) -> None:
        raise ValueError(f"not {limits}")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    open_files.raise_open_files()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_request_beyond_the_limit_has_a_kind_of_its_own(number: int) -> None:
    assert error_kind(OSError(number, os.strerror(number))) == OPEN_FILES
