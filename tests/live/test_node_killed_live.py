"""An event that kills a node of a cluster of two: what a run says of it, against what replicas wrote.

Replicas of two applications of two sizes are spread over both nodes; the far one ends, and the head
takes what it lost.
"""

import time
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from probes.dashboard import Dashboard
from scalelag.cluster.deploy import deploy
from scalelag.record.event_rows import EventRow
from scalelag.record.run_dir import load_run
from tests.live.beating import application, event, last_beats, phase_s, starts_in
from tests.live.conftest import commands
from tests.support.waiting import wait_for
from tools.diagnosis.processes import replicas
from tools.diagnosis.ray_start import alive_nodes
from tools.diagnosis.second_node import two_nodes

pytestmark = [pytest.mark.several_nodes, pytest.mark.long]

SIZES = {"few": 2, "many": 4}
TRUTH_S = 0.1
# Replicas end by themselves when they see that their node's raylet is gone: seen after 1.2 s.
ENDS_WITHIN_S = 5.0
QUICK_HEALTH_CHECKS = {"health_check_period_s": 1, "health_check_timeout_s": 3}


class Seen(NamedTuple):
    """The run, its event's row, where the replicas were before it, and what they wrote."""

    report: dict
    row: EventRow
    output: str
    before: dict
    starts: dict
    beats: dict


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in SIZES}
    with ExitStack() as stack:
        nodes = stack.enter_context(two_nodes("HeadOnly"))
        start = stack.enter_context(commands(tmp_path_factory.mktemp("runs")))
        dashboard = Dashboard(nodes.dashboard, time.time, nodes.token)
        stack.callback(dashboard.close)
        apps = [
            application(name, folders[name], count, options=QUICK_HEALTH_CHECKS)
            for name, count in SIZES.items()
        ]
        deploy(dashboard, apps)
        before = wait_for(lambda: placed(dashboard), "replicas on both nodes", 120)
        command = start(
            *("run", "--dashboard", nodes.dashboard, "--host", nodes.host, "--path", "/many"),
            *("--steps", "5rps:45s", "--drain", "1", "--gate", "none", "--out", "runs"),
            *("--allow-faults", "--event", "5s: kill node of many/Beating"),
            RAY_AUTH_TOKEN=nodes.token,
        )
        code, output = command.wait()
        left = len(alive_nodes(dashboard))
    assert (code in (0, 5), left) == (True, 1), output
    (row,) = load_run(command.run_dirs[-1]).run_events
    return Seen(
        command.report(),
        row,
        output,
        before,
        {name: starts_in(folder) for name, folder in folders.items()},
        {name: last_beats(folder) for name, folder in folders.items()},
    )


def placed(dashboard):
    """Node of each replica by application, once all run, on both nodes each; None before."""
    found = {name: replicas(dashboard, f"{name}/Beating") for name in SIZES}
    nodes = {
        name: {one["replica_id"]: one.get("node_id") for one in rows if one["state"] == "RUNNING"}
        for name, rows in found.items()
    }
    is_spread = all(
        len(nodes[name]) == count and len(set(nodes[name].values())) == 2
        for name, count in SIZES.items()
    )
    return nodes if is_spread else None


def lost(seen, name):
    return {replica for replica, node in seen.before[name].items() if node == seen.row.node}


@pytest.mark.parametrize("name", SIZES)
def test_the_replicas_on_the_node_end_when_the_record_says(seen, name):
    effect = event(seen.report, 1)[0]["deployments"][f"{name}/Beating"]

    assert set(effect["lost"]) == lost(seen, name) != set()
    for replica in effect["lost"]:
        died_s = seen.beats[name][replica]
        assert seen.row.begun_s - TRUTH_S <= died_s <= seen.row.ended_s + ENDS_WITHIN_S


@pytest.mark.parametrize("name", SIZES)
def test_it_is_healed_when_the_head_has_what_was_lost(seen, name):
    found, begun_s = event(seen.report, 1)
    effect = found["deployments"][f"{name}/Beating"]
    came = sorted(
        (row for row in seen.starts[name].values() if row["entered_s"] > begun_s),
        key=lambda row: row["left_s"],
    )

    assert len(came) == effect["starts"]["replicas"] == len(lost(seen, name))
    assert effect["healed_s"]["value"] - phase_s(effect, "mark_running") == pytest.approx(
        came[-1]["left_s"] - begun_s, abs=TRUTH_S
    )
    critical = next(row for row in came if row["replica"] == effect["critical_replica"])
    assert phase_s(effect, "initialize") == pytest.approx(
        critical["left_s"] - critical["entered_s"], abs=TRUTH_S
    )
    assert effect["detect_s"]["value"] < effect["healed_s"]["value"]


def test_the_run_says_that_a_node_cannot_be_given_back(seen):
    assert f"its event ended the node {seen.row.node}" in seen.output
