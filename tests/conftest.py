"""Which tests share a process when several run at once (`pytest -n 3`)."""

import signal
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import tier_times

TESTS = Path(__file__).parent
PURE = ("unit", "golden")
"""Tiers of many short tests: a file at a time costs the least to share out."""


# A busy machine is slow now and then: no single example has a deadline.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config):
    tier_times.register(config)
    # Ignored signals are inherited, as in a script's background or under nohup, and some tests send
    # these. Handlers are not: what a test starts has the system's own.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("live") and "cluster" not in item.fixturenames:
            item.add_marker("own_cluster")
        if item.get_closest_marker("several_nodes"):
            item.add_marker("long")


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """No test, nor a command that it starts, touches the journal of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


class FilesTogether(LoadScopeScheduling):
    """Gives the tests of a file to one process if they share something; others one by one.

    `--dist loadgroup` would do it, but xdist 3.8 cannot mark tests of pytest 9.2 and says nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if shares(path) else nodeid


@cache
def shares(path: str) -> bool:
    """Return True if tests of this file share something made once, such as a recorded run."""
    file = TESTS.parent / path
    return file.parent.name in PURE or 'scope="module"' in file.read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return FilesTogether(config, log)
