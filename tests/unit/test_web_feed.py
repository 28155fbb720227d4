"""The live feed: only what is new, in bounded answers, thinned with age."""

import msgspec
import numpy as np
import pytest

from scalelag.options.run_options import run_options
from scalelag.plugin.web.feed import Feed
from scalelag.plugin.web.series import LoadSeries, Numbers, ReplicaSeries
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentPoll, Gap, Poll, Transition
from scalelag.record.run_info import DeploymentInfo

ZERO_S = 1_000_000.0
INFO = DeploymentInfo(autoscaling={"min_replicas": 1, "max_replicas": 20})
SMALL = 50_000


def requests(due_s, latency_s=0.25, error=-1):
    due_s = np.asarray(due_s, np.float64)
    n = due_s.size
    return RequestColumns(
        intended_s=ZERO_S + due_s,
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.full(n, latency_s, np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.full(n, error, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=("timeout",),
    )


def poll(at_s, **deployments):
    seen = {
        key: DeploymentPoll(counts=counts, target=target)
        for key, (counts, target) in deployments.items()
    }
    return Poll(ZERO_S + at_s - 0.01, ZERO_S + at_s, 200, seen)


class Clock:
    """Seconds after the plan's start, as a test sets them."""

    def __init__(self):
        self.at_s = 0.0

    def now(self):
        return ZERO_S + self.at_s


def feed_of(*keys, steps="10users:10s,50users:20s,10users:10s", clock=None):
    now = (clock or Clock()).now
    return Feed(run_options({"steps": steps}), dict.fromkeys(keys, INFO), ZERO_S, [], now)


def size(answer):
    return len(msgspec.json.encode(answer))


def taken(feed):
    """Everything, as a page that has just been opened takes it; and the sizes of the answers."""
    answer = feed.answer(-1, -1)
    sizes, rows = (
        [size(answer)],
        {kind: list(answer[kind]) for kind in ("load", "replicas", "lags")},
    )
    while answer["more"]:
        answer = feed.answer(answer["epoch"], answer["number"])
        sizes.append(size(answer))
        for kind in rows:
            rows[kind] += answer[kind]
    return rows, sizes


def test_load_is_counted_when_it_was_due_and_when_it_was_answered():
    feed = feed_of("a/B")
    feed.add_requests(requests([0.1, 0.9, 1.5]))
    feed.add_requests(requests([1.6], error=0))
    feed.add_requests(requests([-0.5]))

    assert feed.answer(-1, -1)["load"] == [[0.0, 1.0, 2, 1, 0], [1.0, 1.0, 2, 2, 1]]


def test_arrivals_are_offered_when_they_are_due_also_while_no_answer_comes():
    clock = Clock()
    feed = feed_of("a/B", steps="10rps:2s,20rps:60s", clock=clock)
    clock.at_s = 3.999
    stalled = [row[2:] for row in sorted(feed.answer(-1, -1)["load"])]
    feed.add_requests(requests([0.0, 0.1], latency_s=3.5))
    clock.at_s = 4.999
    feed.stop()
    clock.at_s = 60.0

    assert stalled == [[10, 0, 0], [10, 0, 0], [20, 0, 0], [20, 0, 0]]
    assert [row[2:4] for row in sorted(feed.answer(-1, -1)["load"])] == [
        [10, 0],
        [10, 0],
        [20, 0],
        [20, 2],
        [20, 0],
    ]


def test_only_what_changed_since_is_told_again():
    feed = feed_of("a/B")
    feed.add_rows([poll(0.5, **{"a/B": ({"RUNNING": 1}, 1)})])
    feed.add_requests(requests(np.arange(0, 5, 0.1)))
    seen = feed.answer(-1, -1)
    assert (seen["whole"], len(seen["load"]), len(seen["replicas"])) == (True, 6, 1)

    nothing = feed.answer(seen["epoch"], seen["number"])
    feed.add_rows([poll(5.5, **{"a/B": ({"RUNNING": 1}, 1)})])
    feed.add_rows([poll(6.0, **{"a/B": ({"RUNNING": 1, "STARTING": 2}, 3)})])
    feed.add_requests(requests([4.95]))
    new = feed.answer(seen["epoch"], seen["number"])

    assert (nothing["whole"], nothing["load"], nothing["replicas"]) == (False, [], [])
    assert "stages" not in new
    assert [row[0] for row in new["load"]] == [4.0, 5.0]
    assert new["replicas"] == [(0, 6.0, 2, 1, 0, 3)]
    assert new["seenS"] == 6.0


def test_a_number_that_was_never_given_gets_everything():
    feed = feed_of("a/B")
    feed.add_requests(requests([0.5]))

    assert feed.answer(0, 10**9)["whole"] is True


def test_migrating_replicas_count_as_leaving_and_updating_ones_as_starting():
    feed = feed_of("a/B")
    counts = {"RUNNING": 4, "STARTING": 1, "UPDATING": 2, "STOPPING": 1, "PENDING_MIGRATION": 2}
    feed.add_rows([poll(1.0, **{"a/B": (counts, 6)})])

    assert feed.answer(-1, -1)["replicas"] == [(0, 1.0, 3, 4, 3, 6)]


def test_a_deployment_that_is_gone_has_no_replicas():
    feed = feed_of("a/B")
    feed.add_rows([poll(1.0, **{"a/B": ({"RUNNING": 2}, 2)}), poll(2.0)])

    assert feed.answer(-1, -1)["replicas"][-1] == (0, 2.0, 0, 0, 0, None)


def test_gaps_are_told_with_their_length():
    feed = feed_of("a/B")
    feed.add_rows([Gap(ZERO_S + 2, ZERO_S + 3.5, "refused", 3)])

    answer = feed.answer(-1, -1)
    assert (answer["gaps"], answer["gapS"]) == ([(2.0, 3.5)], 1.5)


def test_an_hour_of_load_is_kept_in_bounded_bins_that_add_up():
    series = LoadSeries(Numbers())
    for second in range(3600):
        series.add(np.array([second + 0.5] * 3), 0)

    rows = [row for _, row in series.since(0)]
    assert len(rows) <= 900
    assert sum(row[2] for row in rows) == 3 * 3600
    ends = [row[0] + row[1] for row in rows]
    assert [row[0] for row in rows] == [0.0, *ends[:-1]]
    assert ends[-1] == 3600.0
    assert {row[1] for row in rows[-300:]} == {1.0}, "the last minutes stay as fine as they were"


def test_replicas_that_never_rest_are_thinned_and_the_last_states_stay():
    numbers = Numbers()
    series = ReplicaSeries(numbers, ("a/B",), ZERO_S)
    for n in range(20_000):
        series.add(poll(n / 5, **{"a/B": ({"RUNNING": n % 7}, n % 5)}))

    rows = [row for _, row in series.since(0)]
    assert len(rows) <= 3000
    assert rows[0] == (0, 0.0, 0, 0, 0, 0)
    assert [row[3] for row in rows[-100:]] == [n % 7 for n in range(19_900, 20_000)]
    assert numbers.epoch > 0


def test_thinning_has_pages_begin_anew():
    feed = feed_of("a/B", steps="1users:2h")
    feed.add_requests(requests([0.5]))
    seen = feed.answer(-1, -1)
    feed.add_requests(requests([2000.5]))

    assert feed.answer(seen["epoch"], seen["number"])["whole"] is True


@pytest.mark.parametrize("changing", [1, 50])
def test_answers_stay_small_with_50_deployments_of_20_replicas(changing):
    keys = [f"application-{n:02}/SomeDeployment" for n in range(50)]
    feed = feed_of(*keys, steps=",".join(["10users:30s,90users:30s"] * 60))
    seen, largest = feed.answer(-1, -1), 0
    for second in range(300):
        n = second % 19
        counts = [
            {"RUNNING": 20 - n, "STARTING": n} if p < changing else {"RUNNING": 20}
            for p in range(50)
        ]
        states = {key: (count, 20) for key, count in zip(keys, counts, strict=True)}
        feed.add_rows([poll(float(second), **states)])
        feed.add_requests(requests(second + np.arange(0, 1, 0.02)))
        seen = feed.answer(seen["epoch"], seen["number"])
        largest = max(largest, size(seen))

    _, sizes = taken(feed)
    assert largest < SMALL
    assert max(sizes) < SMALL


def test_what_is_said_in_pieces_is_everything():
    keys = [f"app/D{n}" for n in range(40)]
    feed = feed_of(*keys)
    for n in range(60):
        feed.add_rows([poll(n / 5, **{key: ({"RUNNING": n % 9 + 1}, 5) for key in keys})])
    feed.add_requests(requests(np.arange(0, 40, 0.05)))

    rows, sizes = taken(feed)
    assert len(sizes) > 1
    assert sorted(rows["replicas"]) == [
        (place, n / 5, 0, n % 9 + 1, 0, 5) for place in range(40) for n in range(60)
    ]
    # A bin of which more came meanwhile is said again, and the last is right.
    assert sum({row[0]: row[2] for row in rows["load"]}.values()) == 800


def test_names_from_outside_are_cut_and_many_deployments_left_out():
    feed = feed_of(*(f"{n:03}" + "x" * 5000 for n in range(150)))

    answer = feed.answer(-1, -1)
    assert (len(answer["deployments"]), answer["deploymentsLeftOut"]) == (100, 50)
    assert size(answer) < SMALL


def test_a_finding_on_twelve_deployments_is_whole_and_a_longer_one_says_that_it_was_cut():
    named = "no room: " + ", ".join(f"application-{n:02}/SomeDeployment" for n in range(12))
    options, now = run_options({"steps": "10users:10s"}), Clock().now
    feed = Feed(options, {"a/B": INFO}, ZERO_S, [named, "long " * 500], now)

    whole, cut = feed.answer(-1, -1)["findings"]
    assert whole == named
    assert len(cut) <= 600
    assert cut.endswith("long ...")


def started(key, replica, lo_s, hi_s, to_state="RUNNING", from_state="STARTING"):
    return Transition(key, replica, ZERO_S + hi_s, ZERO_S + lo_s, from_state, to_state)


def lags(feed):
    return {(lag.step, lag.deployment): lag for lag in feed.answer(-1, -1)["lags"]}


def test_a_lag_is_told_once_the_replicas_have_followed_and_not_before():
    feed, key = feed_of("a/B"), "a/B"
    feed.add_rows(
        [poll(9.9, **{key: ({"RUNNING": 1}, 1)}), started(key, "r1", 0, 1, "RUNNING", None)]
    )
    feed.add_rows([poll(10.1, **{key: ({"RUNNING": 1}, 1)})])
    before = lags(feed)
    feed.add_rows(
        [
            poll(12.0, **{key: ({"RUNNING": 1, "STARTING": 1}, 2)}),
            started(key, "r2", 10.09, 12.0, "STARTING", None),
        ]
    )
    undone = lags(feed)
    feed.add_rows([poll(14.0, **{key: ({"RUNNING": 1, "STARTING": 1}, 2)})])
    feed.add_rows([poll(14.2, **{key: ({"RUNNING": 2}, 2)}), started(key, "r2", 13.99, 14.2)])
    done = lags(feed)

    assert before[1, 0].value_s is None
    assert (undone[1, 0].value_s, undone[1, 0].over) == (None, False)
    # By docs/metrics.md#time: from the send of the last poll without, to the receipt of the first with.
    assert (done[1, 0].lo_s, done[1, 0].hi_s) == pytest.approx((3.99, 4.2))
    assert done[1, 0].value_s == pytest.approx(4.1, abs=0.011)


def test_a_step_that_was_not_followed_is_said_to_be_longer_than_its_hold():
    feed, key = feed_of("a/B"), "a/B"
    feed.add_rows([poll(9.9, **{key: ({"RUNNING": 1}, 1)})])
    feed.add_rows([poll(10.1, **{key: ({"RUNNING": 1}, 1)})])
    feed.add_rows([poll(12.0, **{key: ({"RUNNING": 1, "STARTING": 1}, 2)})])
    feed.add_rows([poll(29.9, **{key: ({"RUNNING": 1, "STARTING": 1}, 2)})])
    feed.add_rows([poll(30.1, **{key: ({"RUNNING": 1, "STARTING": 1}, 2)})])

    lag = lags(feed)[1, 0]
    assert (lag.value_s, lag.hi_s, lag.over) == (None, None, True)
    assert lag.lo_s == pytest.approx(20.0, abs=0.2)


def test_a_step_that_the_probe_did_not_see_is_not_said_to_have_changed_nothing():
    feed, key = feed_of("a/B"), "a/B"
    feed.add_rows([poll(9.0, **{key: ({"RUNNING": 1}, 1)})])
    feed.add_rows([poll(10.1, **{key: ({"RUNNING": 1}, 1)})])
    feed.add_rows(
        [Gap(ZERO_S + 12, ZERO_S + 32.5, "refused", 9), poll(32.5, **{key: ({"RUNNING": 1}, 1)})]
    )
    feed.finish()

    found = lags(feed)
    assert found[1, 0].reason == "not known: the probe saw nothing for 18.0 s"
    assert found[2, 0].reason == "not known: the probe saw nothing for 2.5 s"
    assert found[0, 0].reason == "its replicas stayed as they were"


def test_steps_that_a_stop_leaves_out_have_no_lag():
    feed, key = feed_of("a/B"), "a/B"
    feed.add_rows([poll(5.0, **{key: ({"RUNNING": 1}, 1)})])
    feed.stop()
    feed.add_rows([poll(35.0, **{key: ({"RUNNING": 3}, 3)})])
    feed.finish()

    assert {step for step, _ in lags(feed)} == {0}


def test_steps_shorter_than_the_time_between_looks_are_passed_over():
    feed, key = (
        feed_of("a/B", steps=",".join(["1users:100ms,5users:100ms"] * 20) + ",9users:10s"),
        "a/B",
    )
    feed.add_rows([poll(-1.0, **{key: ({"RUNNING": 1}, 1)})])
    feed.add_rows([poll(5.0, **{key: ({"RUNNING": 1}, 1)})])
    feed.add_rows([poll(6.0, **{key: ({"RUNNING": 2}, 2)}), started(key, "r2", 5.0, 6.0)])

    found = lags(feed)
    assert len(found) == 41
    assert found[40, 0].value_s == pytest.approx((4.99 - 4.0 + 6.0 - 4.0) / 2, abs=0.011)
    assert all(lag.value_s is None for place, lag in found.items() if place != (40, 0))


def test_a_stage_that_settles_moves_what_follows_and_has_pages_begin_anew():
    clock = Clock()
    feed = feed_of("a/D", steps="10rps:settle<=60s,50rps:10s", clock=clock)
    clock.at_s = 11.05
    first = feed.answer(-1, 0)
    options = run_options({"steps": "10rps:settle<=60s,50rps:10s"}).ended(0, 12.0)

    feed.revise(options)
    clock.at_s = 30.0
    second = feed.answer(first["epoch"], first["number"])

    assert first["durationS"] == 70
    assert second["whole"]
    assert second["durationS"] == 22
    assert [stage[:2] for stage in second["stages"]] == [(0, 12), (12, 22)]
    assert [step[1] for step in second["steps"]] == [0, 12, 22]
    assert sum(row[2] for row in second["load"]) == 120 + 500
