"""Seconds in evidence that polling does not know exactly."""

import msgspec
import pytest

from reports.analysis.diagnosis.replica_rules import initialised_long
from reports.model.intervals import Instant
from reports.model.steps import Phase
from scalelag.wording import seconds_within
from tests.support.built.step_facts import BEGUN_S, FIRST, facts, life


@pytest.mark.parametrize(
    ("running", "measured", "said"),
    [
        (Instant(1020.0, 1024.0), True, "initialised for 6.5 to 11.0 s, marking it RUNNING"),
        (Instant(1020.0, 1020.4), True, "initialised for 7.2 s, marking it RUNNING"),
        (Instant(1035.0, 1045.0), False, "initialised for 22.0 to 27.0 s and was not done"),
    ],
)
def test_a_start_that_polling_knows_to_seconds_is_told_by_its_bounds(running, measured, said):
    third = life("r3", entered=None, initialized=None, allocated=1013.0)
    third = msgspec.structs.replace(third, running=running)
    lo_s = 6.5 if running.hi_s > 1021.0 else 7.0
    own = Phase("initialize", running.mid_s - 1013.0, lo_s, running.hi_s - 1013.0)
    step = facts(
        total_s=running.mid_s - BEGUN_S if measured else None,
        censored=not measured,
        replicas=(FIRST, life("r2"), third),
        critical_replica="r3",
        phases=(Phase("decide", 1.6, 1.6, 1.6), *((own,) if measured else ())),
    )

    (sign,) = initialised_long(step)

    assert said in sign.shown[0].text


@pytest.mark.parametrize(
    ("value_s", "lo_s", "hi_s", "words"),
    [
        (8.5, 8.5, 8.5, "8.5 s"),
        (8.5, 8.1, 8.9, "8.5 s"),
        (8.5, 2.0, 15.0, "2.0 to 15.0 s"),
        (1.0, 0.8, 1.2, "1.0 s"),
        (1.0, 0.5, 1.5, "0.5 to 1.5 s"),
    ],
)
def test_seconds_are_bounds_where_they_are_not_known_to_a_tenth(value_s, lo_s, hi_s, words):
    assert seconds_within(value_s, lo_s, hi_s) == words
