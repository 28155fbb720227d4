"""Faults of a dashboard, and the gaps that a probe makes of them."""

from scalelag.record.rows import Gap, Poll
from tests.support.standin.script import Fault

HAIR_S = 0.001  # two clocks of one machine


def gap_reasons(watch) -> list[str]:
    return [gap.reason for gap in watch.of(Gap)]


def watch_through(standin, watch, until, fault: Fault, blind_s: float = 0.0) -> None:
    """Two good polls, the fault until the probe has noticed it and for `blind_s`, two good ones."""
    until(lambda: len(watch.of(Poll)) >= 2, what="two polls")
    standin.control(fault)
    until(lambda: watch.probe.blind_reason, what="the probe notices")
    begun_s = watch.now()
    until(lambda: watch.now() >= begun_s + blind_s, blind_s + 5)
    standin.control(clear=True)
    polls = len(watch.of(Poll))
    until(lambda: len(watch.of(Poll)) >= polls + 2, what="it goes on")
