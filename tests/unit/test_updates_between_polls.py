"""A new version that comes between two polls, while a replica is STARTING."""

import msgspec
import pytest

from reports.analysis.lag.changes import changes_of
from scalelag.record.rows import StatusChange, Transition
from tests.support.stored_runs import recorded


@pytest.mark.parametrize("polls_late", [0, 1])
def test_a_replica_that_is_first_seen_as_stopping_is_one_of_the_old_version(polls_late):
    """Created at 5.5 s, given up at 7.6 s for the new version; polls were sent at 6.8 and 7.7 s.

    Or it is listed one poll after the one that tells of the new version.
    """
    run = recorded("demo")
    (key,) = run.info.target.watched
    zero_s = run.info.zero_s
    before_s, after_s, over_s = zero_s + 6.8, zero_s + 7.7, zero_s + 12.0
    transitions = (
        Transition(key, "front", zero_s, None, None, "RUNNING"),
        Transition(
            key,
            "given-up",
            after_s + polls_late,
            before_s + 0.9 * polls_late,
            None,
            "STOPPING",
            start_time_s=zero_s + 5.5 + run.info.clock.offset_s,
        ),
        Transition(key, "new-1", after_s, before_s, None, "STARTING"),
        Transition(key, "front", over_s - 1, over_s - 2, "RUNNING", "STOPPING"),
        Transition(key, "new-2", over_s - 1, over_s - 2, None, "STARTING"),
    )
    statuses = (
        StatusChange(key, after_s, "UPDATING", before_s, "CONFIG_UPDATE_STARTED"),
        StatusChange(key, over_s, "HEALTHY", over_s - 0.5, "CONFIG_UPDATE_COMPLETED"),
    )

    run = msgspec.structs.replace(run, transitions=transitions, statuses=statuses)

    (update,) = changes_of(run, key).updates
    assert update.replaced == {"given-up", "front"}
