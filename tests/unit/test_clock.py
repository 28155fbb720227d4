"""The run's clock: one wall-clock anchor, then monotonic time."""

import pytest

from scalelag.record.clock import Clock


class FakeTime:
    """A wall clock and a monotonic clock that a test sets."""

    def __init__(self, wall_s: float, monotonic_s: float) -> None:
        self.wall_s = wall_s
        self.monotonic_s = monotonic_s

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall_s, monotonic=lambda: self.monotonic_s)


def test_a_new_clock_shows_the_wall_clock():
    fake = FakeTime(wall_s=1_795_371_900.0, monotonic_s=500.0)

    clock = fake.clock()

    assert clock.now() == 1_795_371_900.0


def test_the_clock_runs_with_monotonic_time():
    fake = FakeTime(wall_s=1_795_371_900.0, monotonic_s=500.0)
    clock = fake.clock()

    fake.monotonic_s += 12.5

    assert clock.now() == 1_795_371_912.5


@pytest.mark.parametrize("jump_s", [-3600.0, -0.001, 0.5, 86_400.0])
def test_a_step_of_the_wall_clock_moves_nothing(jump_s: float):
    fake = FakeTime(wall_s=1_795_371_900.0, monotonic_s=500.0)
    clock = fake.clock()

    fake.wall_s += jump_s
    fake.monotonic_s += 2.0

    assert clock.now() == 1_795_371_902.0


def test_the_anchors_are_kept():
    fake = FakeTime(wall_s=1_795_371_900.0, monotonic_s=500.0)
    clock = fake.clock()

    fake.wall_s, fake.monotonic_s = 7.0, 600.0

    assert (clock.anchor_wall_s, clock.anchor_monotonic_s) == (1_795_371_900.0, 500.0)


def test_the_default_clock_never_goes_back():
    clock = Clock()

    readings = [clock.now() for _ in range(1000)]

    assert readings == sorted(readings)
