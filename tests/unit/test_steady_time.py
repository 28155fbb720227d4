"""Locust's runners keep their time when somebody sets the machine's clock."""

import subprocess
import sys

import pytest

from scalelag.record.clock import Clock
from tests.support.unpatched import import_unpatched

RUNNERS = """
import time
from locust import runners
from scalelag.plugin.steady_time import keep_steady_time

keep_steady_time()
before = runners.time.time()
time.time = lambda: 0.0  # set back
print(0.0 <= runners.time.time() - before < 600.0, runners.time.monotonic is time.monotonic)
"""


@pytest.fixture(scope="module")
def module():
    """The module under test, imported without Locust's monkey-patching of this very process."""
    return import_unpatched("scalelag.plugin.steady_time")


def test_a_step_of_the_wall_clock_does_not_move_it(module):
    wall_s, monotonic_s = [5000.0], [10.0]
    steady = module.SteadyTime(Clock(lambda: wall_s[0], lambda: monotonic_s[0]))

    wall_s[0] -= 3600.0
    monotonic_s[0] += 2.0

    assert steady.time() == 5002.0


def test_the_runners_go_by_it():
    done = subprocess.run(
        [sys.executable, "-c", RUNNERS], check=True, capture_output=True, text=True, timeout=120
    )

    assert done.stdout.split() == ["True", "True"]
