"""RUNNING replicas over time: between looks, at logged points, and what nobody saw."""

import msgspec
import numpy as np
import pytest

from reports.analysis.elasticity.metrics import elasticity
from reports.analysis.elasticity.supply import Change, Supply, supply_of, whole_supply_of
from reports.analysis.lag.timeline import ReplicaLife, ReplicaPoll, Timeline
from reports.model.elasticity import ElasticityReport
from reports.model.intervals import Instant, Span, Window
from reports.render.tables.elasticity import following_texts
from scalelag.record.rows import Gap
from tests.support.built import samples


def look(at_s: float, running: int, recovering: int = 0) -> ReplicaPoll:
    """A look asked for at `at_s` and answered 0.2 s later."""
    return ReplicaPoll(at_s, at_s + 0.2, running, running + recovering, running, recovering)


def life(name: str, running: float, stopping: float | None = None, skew_s: float = 0.0):
    """A replica whose moments a log tells."""

    def logged(at_s: float) -> Instant:
        return Instant(at_s, at_s, "node", skew_s)

    return ReplicaLife(
        replica=name,
        listed=logged(running - 1),
        running=logged(running),
        stopping=None if stopping is None else logged(stopping),
    )


def supply(
    *polls: ReplicaPoll, lives: tuple[ReplicaLife, ...] = (), gaps: tuple[Gap, ...] = ()
) -> Supply:
    found = supply_of(Timeline(polls=polls, decisions=(), replicas=lives), gaps)
    assert found is not None
    return found


def running_at(found: Supply, *times_s: float) -> tuple[list[int], list[int], list[int]]:
    """The fewest, the middle and the most at each of the moments."""
    times = np.array(times_s)
    return (
        list(found.fewest().at(times)),
        list(found.middle().at(times)),
        list(found.most().at(times)),
    )


def test_a_change_lies_between_the_looks_around_it():
    found = supply(look(0, 1), look(1, 1), look(2, 4), look(3, 2))

    assert found.before == 1
    assert found.changes == (Change(Instant(1, 2.2), 3), Change(Instant(2, 3.2), -2))
    assert found.seen == Window(0, 3.2)


def test_bounds_hold_each_change_as_late_or_as_early_as_it_can_have_been():
    found = supply(look(0, 1), look(1, 4), look(9, 4), look(10, 2))

    assert running_at(found, 0.1, 0.5, 0.7, 1.3, 9.1, 9.5, 9.7, 10.3) == (
        [1, 1, 1, 4, 2, 2, 2, 2],
        [1, 1, 4, 4, 4, 4, 2, 2],
        [4, 4, 4, 4, 4, 4, 4, 2],
    )


def test_a_log_tells_the_moments_where_it_accounts_for_the_whole_change():
    lives = (life("a", 0.3), life("b", 0.9, skew_s=0.05), life("c", -50.0, stopping=5.5))

    found = supply(look(0, 1), look(1, 3), look(5, 3), look(6, 2), lives=lives)

    assert found.changes == (
        Change(Instant(0.3, 0.3), 1),
        Change(Instant(pytest.approx(0.85), pytest.approx(0.95)), 1),
        Change(Instant(5.5, 5.5), -1),
    )


@pytest.mark.parametrize(
    "lives",
    [
        (life("a", 0.3),),
        (life("a", 0.3), life("b", 0.4), life("c", 0.5)),
        (life("a", 0.3), life("b", 7.0)),
    ],
)
def test_a_log_that_does_not_account_for_it_leaves_what_polling_saw(lives):
    found = supply(look(0, 1), look(1, 3), lives=lives)

    assert found.changes == (Change(Instant(0, 1.2), 2),)


def test_a_replica_that_stopped_without_ever_running_was_none_of_them():
    failed = ReplicaLife("x", Instant(0, 0), stopping=Instant(1.5, 1.5, "node"))

    found = supply(look(0, 2), look(1, 2), look(2, 1), lives=(failed,))

    assert found.changes == (Change(Instant(1, 2.2), -1),)


def test_a_logged_moment_counts_once_where_intervals_overlap():
    # 1.1 s lies in both: a look that was asked for at 1 s was answered at 1.2 s.
    found = supply(look(0, 1), look(1, 2), look(2, 3), lives=(life("a", 1.1),))

    assert found.changes == (Change(Instant(1.1, 1.1), 1), Change(Instant(1, 2.2), 1))


def test_a_logged_moment_just_outside_of_what_polling_saw_is_moved_to_its_edge():
    found = supply(look(0, 1), look(1, 2), lives=(life("a", 1.205),))

    assert found.changes == (Change(Instant(pytest.approx(1.2), 1.2), 1),)


def test_gaps_were_not_seen():
    gaps = (Gap(1.0, 3.0, "HTTP 503", 4), Gap(4.0, 4.5, "HTTP 503", 1))

    found = supply(look(0, 1), look(3, 2), look(5, 2), gaps=gaps)

    assert found.watched(Window(-5, 10)) == (Window(0, 1), Window(3, 4), Window(4.5, 5.2))


def test_replicas_that_a_controller_recovers_are_not_gone():
    found = supply(look(0, 3), look(1, 0, recovering=3), look(2, 2, recovering=1), look(3, 3))

    assert found.changes == ()
    assert found.watched(Window(0, 3)) == (Window(0, 0.2),)
    assert found.watched(Window(0, 4)) == (Window(0, 0.2), Window(3, 3.2))


def test_recovering_at_either_end_was_not_seen():
    found = supply(look(0, 0, recovering=1), look(1, 1), look(2, 1), look(3, 0, recovering=1))

    assert found.seen == Window(1, 2.2)
    assert found.changes == ()


def test_a_deployment_that_was_never_seen_has_no_supply():
    assert supply_of(Timeline((), (), ())) is None
    assert supply_of(Timeline((look(0, 0, recovering=2),), (), ())) is None


def test_what_ran_before_a_moment_and_what_changed_within_a_window():
    found = supply(look(0, 1), look(1, 2), look(2, 5))

    # In the middle at 0.6 and 1.6 s.
    assert [found.running_before(t) for t in (0.6, 0.61, 9)] == [1, 2, 5]
    assert found.changes_within(Window(0.6, 1.6)) == [found.changes[0]]


def test_replica_hours_count_what_ran_in_events_and_updates_too():
    polls = (
        *(look(0, 2), look(10, 2)),
        *(msgspec.structs.replace(look(at_s, n), foreign=True) for at_s, n in ((11, 1), (12, 3))),
        look(20, 2),
    )
    timeline = Timeline(polls=polls, decisions=(), replicas=())
    scaled, everything = supply_of(timeline), whole_supply_of(timeline)
    assert scaled is not None

    found = elasticity("nobody can tell", scaled, Window(1, 19), everything)

    assert (found.watched_s, found.unwatched_s) == (pytest.approx(9.2), pytest.approx(8.8))
    assert found.replica_hours is not None
    # 2 until 10.6 s, 1 until 11.6 s, 3 until 16.1 s, then 2: in the middle between two looks.
    assert found.replica_hours.value == pytest.approx(39.5 / 3600)


def test_the_time_that_is_judged_by_demand_is_told_where_it_is_not_all():
    deployment = next(iter(samples.calm().report.deployments.values()))
    known = ElasticityReport(
        demand="policy", watched_s=23.6, unwatched_s=10.4, replica_hours=Span(0.01, 0.01, 0.01)
    )

    def told(found: ElasticityReport) -> bool:
        texts = following_texts(msgspec.structs.replace(deployment, elasticity=found))
        return "demand judged for 23.6 of 34.0 s: not in events, updates and gaps" in texts

    assert told(known)
    assert not told(msgspec.structs.replace(known, unwatched_s=0.0))
