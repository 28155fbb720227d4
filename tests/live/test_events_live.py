"""Events on real Ray Serve: what a run says of them, against what the replicas wrote themselves.

Most tests look at one run, on two applications that it did not deploy: replicas of one are killed, one
and then two, the other gets a new target, and at last the controller is killed.
"""

import os
import signal
import time
from typing import NamedTuple

import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience, ready_payload
from scalelag.record.event_rows import EventRow
from scalelag.record.run_dir import load_run
from tests.live.beating import (
    application,
    event,
    event_jobs,
    last_beats,
    phase_s,
    starts_in,
)
from tests.live.conftest import valid_run
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

PATIENCE = Patience(150, time.monotonic, time.sleep)
KILLED, SCALED = "killed/Beating", "scaled/Beating"
TRUTH_S = 0.1
# A loss is seen, and healed, before the next event.
QUICK_HEALTH_CHECKS = {"health_check_period_s": 1, "health_check_timeout_s": 3}
EVENTS = (
    f"4s: scale {SCALED} to 3",
    f"14s: kill 1 replica of {KILLED}",
    "23s: kill 2 replicas of killed/Beating",
    "34s: kill controller",
)


class Seen(NamedTuple):
    """The run, and what the replicas of each application wrote down."""

    report: dict
    rows: dict[int, EventRow]
    output: str
    starts: dict[str, dict[str, dict]]
    last_s: dict[str, float]


@pytest.fixture(scope="module")
def applications(dashboard, tmp_path_factory):
    """The folders of both applications, which are there for all tests of the module."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("killed", "scaled")}
    names = deploy(
        dashboard,
        [
            application("killed", folders["killed"], 3, options=QUICK_HEALTH_CHECKS),
            application("scaled", folders["scaled"], 1, external_scaler_enabled=True),
        ],
    )
    try:
        PATIENCE.retry(lambda: ready_payload(dashboard, [], names))
        yield folders
    finally:
        undeploy(dashboard, names, PATIENCE)


@pytest.fixture(scope="module")
def seen(on_cluster_once, applications):
    command, code, output = valid_run(
        on_cluster_once,
        *("run", "--path", "/killed", "--steps", "10rps:45s", "--drain", "1", "--allow-faults"),
        *("--deployment", KILLED, "--deployment", SCALED, "--gate", "none", "--out", "runs"),
        *("--gate", "event.*.healed_s < 60", "--observer-budget", "25%"),
        *(f"--event={event}" for event in EVENTS),
    )
    assert code in (0, 5), output
    return Seen(
        command.report(),
        {row.index: row for row in load_run(command.run_dirs[-1]).run_events},
        output,
        {name: starts_in(folder) for name, folder in applications.items()},
        {k: v for folder in applications.values() for k, v in last_beats(folder).items()},
    )


@pytest.mark.parametrize(("index", "count"), [(2, 1), (3, 2)])
def test_replicas_die_when_the_record_says(seen, index, count):
    row = seen.rows[index]

    assert len(row.lost) == count
    for replica in row.lost:
        died_s = seen.last_s[replica]
        assert row.begun_s - TRUTH_S <= died_s <= row.ended_s + TRUTH_S


@pytest.mark.parametrize(("index", "count"), [(2, 1), (3, 2)])
def test_a_loss_is_healed_when_the_replacing_replicas_are_up(seen, index, count):
    found, begun_s = event(seen.report, index)
    later = [one for one in seen.starts["killed"].values() if one["entered_s"] > begun_s]
    came = sorted(later, key=lambda one: one["left_s"])[:count]

    healed_s = found["healed_s"]["value"]
    assert found["deployments"][KILLED]["critical_replica"] in {one["replica"] for one in came}
    assert healed_s - phase_s(found, "mark_running") == pytest.approx(
        came[-1]["left_s"] - begun_s, abs=TRUTH_S
    )
    assert phase_s(found, "initialize") == pytest.approx(
        came[-1]["left_s"] - came[-1]["entered_s"], abs=TRUTH_S
    )
    assert found["detect_s"]["value"] < healed_s
    assert found["deployments"][KILLED]["starts"]["replicas"] == count


def test_a_new_target_is_reached_when_the_last_replica_is_up(seen):
    found, begun_s = event(seen.report, 1)
    last_s = max(one["left_s"] for one in seen.starts["scaled"].values())

    assert found["healed_s"]["value"] - phase_s(found, "mark_running") == pytest.approx(
        last_s - begun_s, abs=TRUTH_S
    )
    assert found["deployments"][SCALED]["starts"]["replicas"] == 2


def test_a_killed_controller_is_whole_again_and_no_unexplained_restart(seen):
    found, _ = event(seen.report, 4)

    assert 0 <= found["detect_s"]["lo"] <= found["healed_s"]["hi"]
    assert not found["censored"]
    assert "the Serve controller restarted" not in " ".join(seen.report["warnings"])


def test_the_run_says_what_it_will_do_and_gives_back_what_it_changed(seen, dashboard):
    there = parse_payload(dashboard.get(APPLICATIONS_PATH).body).deployments()

    assert "event 2 at 14 s kills 1 replica of killed/Beating" in seen.output
    assert f"the target of {SCALED} is 1 replica again" in seen.output
    assert there[SCALED].target_num_replicas == 1
    assert [gate["verdict"] for gate in seen.report["gates"]] == ["pass"]


def test_nothing_of_an_event_is_left_after_an_interrupt_before_its_time(
    on_cluster, dashboard, applications
):
    before = starts_in(applications["killed"])
    command = on_cluster(
        *("run", "--path", "/killed", "--steps", "5rps:60s", "--allow-faults", "--out", "runs"),
        *("--deployment", KILLED, "--event", f"20s: kill 2 replicas of {KILLED}"),
    )
    wait_for(lambda: event_jobs(dashboard), "the job of the kill", 90)

    os.kill(command.process.pid, signal.SIGINT)
    code, output = command.wait()

    assert code == 130, output
    assert event_jobs(dashboard) == []
    (row,) = load_run(command.run_dirs[-1]).run_events
    assert row.error == "the load was over before its time"
    assert starts_in(applications["killed"]) == before
