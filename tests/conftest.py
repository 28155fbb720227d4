"""Which tests share a process when several run at once (`pytest -n 3 --dist loadgroup`)."""

import signal
from pathlib import Path

import hypothesis
import pytest

from tests.support import tier_times

TESTS = Path(__file__).parent
PURE = ("unit", "golden")
"""Tiers of many short tests: a file at a time costs the least to share out."""


# A busy machine is slow now and then: no single example has a deadline.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config):
    tier_times.register(config)
    # Ignored signals are inherited, as by a script's background, and some tests send this one.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items):
    """Tests of a file stay together if they look at something that was made once for all of them."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in PURE or shares(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def shares(item) -> bool:
    """Whether the test has a fixture of its module, such as a recorded run."""
    definitions = item._fixtureinfo.name2fixturedefs
    return any(fixtures[-1].scope == "module" for fixtures in definitions.values())
