"""Exact phases against the truth that the application's own replicas write down as it happens."""

from collections import defaultdict

import msgspec
import pytest

from scalelag.record.run_dir import load_run

TOLERANCE_S = 0.05
INIT_S = 2.0
# What each moment of the logs is in the replica's own words.
SAME = {
    "init_entered": "constructor_entered",
    "init_done": "constructor_left",
    "first_request": "request",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, on_cluster_once):
    """A run of two cycles in each of which five replicas come and go, and the truth about it."""
    truth_file = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    arguments = {
        "init_time_s": INIT_S,
        "service_time_s": 0.2,
        "truth_file": truth_file,
        "num_cpus": 0.05,
        "max_replicas": 6,
        # So low that all six are wanted throughout, and none comes and goes in between.
        "target_ongoing_requests": 0.4,
        "metrics_interval_s": 0.2,
        "look_back_period_s": 1,
        "upscale_delay_s": 0.5,
        "downscale_delay_s": 1,
        "graceful_shutdown_wait_loop_s": 0.2,
    }
    command = on_cluster_once(
        "run", "--app", "slow_start", "--steps", "0users:6s,8users:settle<=90s", "--repeat", "2",
        "--drain", "8", *(f"--app-arg={name}={value}" for name, value in arguments.items()),
    )  # fmt: skip
    code, output = command.wait()
    assert code == 0, output
    lines = [msgspec.json.decode(line) for line in truth_file.read_bytes().splitlines()]
    truth = defaultdict(dict)
    for line in lines:
        truth[line["replica"]][line["event"]] = line["at_s"]
    return load_run(command.run_dirs[-1]), command.report(), truth


def test_each_logged_moment_is_within_50_ms_of_what_the_replica_itself_wrote(recorded):
    """One of each kind may be further off: a busy machine held its replica up between both notes."""
    run, _, truth = recorded
    offset_s = run.info.clock.offset_s
    off_by = defaultdict(list)
    for event in run.events:
        if event.kind in SAME and SAME[event.kind] in truth[event.replica]:
            true_s = truth[event.replica][SAME[event.kind]] - offset_s
            off_by[event.kind].append(event.at_s - true_s)

    worst_s = {kind: sorted(map(abs, found))[-2] for kind, found in off_by.items()}
    assert set(worst_s) == set(SAME)
    assert max(worst_s.values()) < TOLERANCE_S, worst_s
    assert all(len(off_by[kind]) >= 10 for kind in ("init_entered", "init_done")), worst_s


def test_phases_and_the_unattributed_rest_are_the_total(recorded):
    _, report, _ = recorded
    steps = [s for d in report["deployments"].values() for s in d["steps"] if s["total_s"]]
    measured = [s for s in steps if s["unattributed_s"] is not None]

    assert len(measured) >= 2
    for step in measured:
        parts = [p["value"] for p in step["phases"] if p["part_of"] == "total" and p["value"]]
        rest_s = step["total_s"]["value"] - sum(parts) - step["unattributed_s"]
        assert abs(rest_s) < 0.001, step
        assert abs(step["unattributed_s"]) < 0.001, step


@pytest.mark.long
def test_a_constructor_of_2_s_shows_in_initialize_and_nowhere_else(recorded):
    run, report, truth = recorded
    (deployment,) = report["deployments"].values()
    steps = [s for s in deployment["steps"] if s["direction"] == "up" and s["total_s"]]
    # On a busy machine the hold may be too short for all six.
    up = [step for step in steps if not step["censored"]]
    assert up
    for step in up:
        phases = {p["name"]: p for p in step["phases"]}
        mine = truth[step["critical_replica"]]
        constructor_s = mine["constructor_left"] - mine["constructor_entered"]

        assert constructor_s >= INIT_S
        assert {p["source"] for p in step["phases"] if p["part_of"] == "total"} == {"log"}
        assert abs(phases["initialize"]["value"] - constructor_s) < TOLERANCE_S, step
        # What lies before and behind the constructor, by the replica's own clock.
        begun_s = run.info.zero_s + step["at_s"] + run.info.clock.offset_s
        before_s = sum(phases[name]["value"] for name in ("decide", "create", "allocate"))
        behind_s = begun_s + step["total_s"]["value"] - mine["constructor_left"]
        assert abs(before_s - (mine["constructor_entered"] - begun_s)) < TOLERANCE_S, step
        assert abs(phases["mark_running"]["value"] - behind_s) < TOLERANCE_S, step
