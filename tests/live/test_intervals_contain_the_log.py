"""Every interval that polling leaves of a real run contains the time in the controller's own log."""

from itertools import pairwise

import msgspec
import pytest

from reports.analysis.analyse import analyse
from scalelag.record.run_dir import load_run
from tests.live.conftest import Ended, valid_run
from tests.live.controller_log import ControllerLog

# The log has milliseconds, cut off; and the controller writes its line, then changes its state (or
# the other way round) within one turn of its loop.
TOLERANCE_S = 0.005

PIPELINE = ("slow.upscale_delay_s=2", "slow.downscale_delay_s=3")


@pytest.fixture
def ramped_run(on_cluster, dashboard):
    """A run of several deployments, with a ramp, to more users than all replicas are meant for."""
    ended = valid_run(
        on_cluster,
        *("run", "--app", "pipeline", *(f"--app-arg={setting}" for setting in PIPELINE)),
        *("--steps", "2..16users:6s,16users:26s", "--out", "runs", "--drain", "0"),
    )
    return Ended(*ended, ControllerLog(dashboard))


@pytest.mark.long
def test_each_interval_of_a_step_up_and_down_contains_the_time_in_the_controllers_log(stepped_run):
    assert_intervals_contain_the_log(stepped_run, {"Sleeper"})


@pytest.mark.long
def test_each_interval_of_two_deployments_and_a_ramp_contains_the_time_in_the_log(ramped_run):
    assert_intervals_contain_the_log(ramped_run, {"Fast", "Slow"})


def assert_intervals_contain_the_log(ended, deployments):
    assert ended.code == 0, ended.output
    run = load_run(ended.path)
    widest_s = widest(run)
    # As if no log could be read: its own moments are compared with the truth in test_phases_are_exact.
    polled = analyse(msgspec.structs.replace(run, events=()))
    report = msgspec.to_builtins(polled.report)

    checked = [
        (key, step["index"])
        for key, deployment in report["deployments"].items()
        for step in deployment["steps"]
        if step["total_s"] and not step["censored"]
        if check(ended.log, key, step, report["run"]["started_s"], widest_s)
    ]

    assert deployments <= {key.rpartition("/")[2] for key, _ in checked}, ended.output
    assert len(checked) >= 2, ended.output


def widest(run):
    """Two poll periods, two round trips, and what is known of the clock."""
    sent = [poll.sent_s for poll in run.polls]
    period_s = max(later - earlier for earlier, later in pairwise(sent))
    round_trip_s = max(poll.received_s - poll.sent_s for poll in run.polls)
    return 2 * period_s + 2 * round_trip_s + run.info.clock.error_s


def check(log, key, step, started_s, widest_s):
    """Compare one step with the log; True where it was compared."""
    begun_s = started_s + step["at_s"]
    ended_s = begun_s + step["hold_s"]
    replica = step["critical_replica"]
    phases = {phase["name"]: phase for phase in step["phases"] if phase["value"] is not None}
    if step["direction"] == "up":
        app, _, name = key.partition("/")
        submitted_s = log.times(rf"^Starting Replica\(id='{replica}'")[-1]
        running_s = log.times(rf"^Replica\(id='{replica}'.* started successfully")[-1]
        decided_s = [t for t in log.decisions("Upscaling", key) if t <= submitted_s + TOLERANCE_S][
            -1
        ]
        started = log.times(rf"^Replica\(id=.*'{name}', app='{app}'\) started successfully")
        needed = step["target_after"] - step["replicas_before"]
        reached_s = [t for t in started if begun_s <= t <= ended_s][needed - 1]
        start = phases["allocate"], phases["initialize"]
        assert_within(running_s - submitted_s, joined(*start), widest_s * 2, step)
        assert_within(submitted_s - decided_s, phases["create"], widest_s, step)
    else:
        stopping_s = log.times(rf"^Stopping Replica\(id='{replica}'")[-1]
        reached_s = log.times(rf"^Replica\(id='{replica}'.* is stopped")[-1]
        decided_s = [t for t in log.decisions("Downscaling", key) if t <= stopping_s + TOLERANCE_S][
            -1
        ]
        assert_within(stopping_s - decided_s, phases["stop"], widest_s, step)
        assert_within(reached_s - stopping_s, phases["drain"], widest_s, step)
    assert_within(max(0.0, decided_s - begun_s), phases["decide"], widest_s, step)
    assert_within(reached_s - begun_s, step["total_s"], widest_s, step)
    return True


def joined(first, second):
    """Two phases in a row, between their outer breakpoints."""
    return {"lo": first["lo"] + second["lo"], "hi": first["hi"] + second["hi"]}


def assert_within(truth_s, interval, widest_s, step):
    low, high = interval["lo"] - TOLERANCE_S, interval["hi"] + TOLERANCE_S
    assert low <= truth_s <= high, (truth_s, interval, step)
    assert interval["hi"] - interval["lo"] <= widest_s, (interval, widest_s, step)
