"""Applications that events deploy and delete: what a run says, against what the replicas wrote.

Most tests look at one run, on two applications of two sizes that it did not deploy. Both are replaced
by another version at once, whose coming breaks off requests of the old one; then they are deleted, one
after the other; at last two others come from nothing. At the end all is as before, however it ends.
"""

import json
import os
import signal
import time
from typing import NamedTuple

import psutil
import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.left_behind import journal_folder
from scalelag.cluster.preflight import Patience, ready_payload
from scalelag.cluster.scaler import post_target
from scalelag.record.run_dir import load_run
from tests.live.beating import (
    application,
    event,
    event_jobs,
    last_beats,
    phase_s,
    rows_of,
    starts_in,
)
from tests.live.conftest import valid_run
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

PATIENCE = Patience(150, time.monotonic, time.sleep)
THERE = {"small": 2, "large": 3}
NEW = {"first": 1, "more": 3}
TRUTH_S = 0.1
# A replica that is told to stop breaks off what it has: a request takes longer than it may stay.
WORK_S = 1.0
STOPS_SOON = {
    "graceful_shutdown_timeout_s": 0.2,
    "graceful_shutdown_wait_loop_s": 0.1,
    "max_ongoing_requests": 50,
}


class Seen(NamedTuple):
    """The run, its begin in Unix seconds, and the folder of each application's replicas."""

    report: dict
    output: str
    folders: dict

    def rows(self, name, file):
        """Rows that replicas of an application wrote during the run."""
        key = "entered_s" if file == "starts.jsonl" else "at_s"
        began_s = self.report["run"]["started_s"]
        return [row for row in rows_of(self.folders[name] / file) if row[key] >= began_s]


def configured(name, folder, replicas, version):
    args = {"work_s": WORK_S, "version": version}
    return application(
        name, folder, replicas, args=args, options=STOPS_SOON, external_scaler_enabled=True
    )


def write_config(path, *apps):
    path.write_text(json.dumps({"applications": list(apps)}))
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: tmp_path_factory.mktemp(name) for name in THERE | NEW}


@pytest.fixture(scope="module")
def files(tmp_path_factory, folders):
    """Serve configs that events deploy, and the requests."""
    folder = tmp_path_factory.mktemp("configs")
    newer = [configured(name, folders[name], count, 2) for name, count in THERE.items()]
    write_config(folder / "newer.yaml", *newer)
    new = [configured(name, folders[name], count, 1) for name, count in NEW.items()]
    write_config(folder / "new.yaml", *new)
    asked = [f'[[request]]\nname = "{name}"\npath = "/{name}"\n' for name in THERE]
    (folder / "requests.toml").write_text("\n".join(asked))
    return folder


@pytest.fixture(scope="module")
def applications(dashboard, folders):
    """Both applications in their first version, there for all tests of the module."""
    apps = [configured(name, folders[name], count, 1) for name, count in THERE.items()]
    names = deploy(dashboard, apps)
    try:
        PATIENCE.retry(lambda: ready_payload(dashboard, [], names))
        yield
    finally:
        undeploy(dashboard, names, PATIENCE)


def options(files):
    """Options of a run on both applications with little load."""
    return (
        *("run", "--requests", str(files / "requests.toml"), "--gate", "none", "--out", "runs"),
        *("--deployment", "small/Beating", "--deployment", "large/Beating", "--allow-faults"),
    )


@pytest.fixture(scope="module")
def seen(on_cluster_once, applications, folders, files):
    command, code, output = valid_run(
        on_cluster_once,
        *(*options(files), "--steps", "8rps:66s", "--drain", "1", "--observer-budget", "25%"),
        *("--event", f"4s: deploy {files}/newer.yaml"),
        *("--event", "34s: delete small", "--event", "40s: delete large"),
        *("--event", f"46s: deploy {files}/new.yaml"),
    )
    assert code in (0, 5), output
    return Seen(command.report(), output, folders)


def assert_is_over_when_the_last_is_up(seen, index, name, version):
    """Compare the moments of a deployment's replicas that came with what they wrote."""
    found, begun_s = event(seen.report, index)
    effect = found["deployments"][f"{name}/Beating"]
    rows = [row for row in seen.rows(name, "starts.jsonl") if row["version"] == version]
    came = sorted(
        (row for row in rows if row["entered_s"] > begun_s), key=lambda row: row["left_s"]
    )

    assert len(came) == effect["starts"]["replicas"] == (THERE | NEW)[name]
    assert effect["updated_s"]["value"] - phase_s(effect, "mark_running") == pytest.approx(
        came[-1]["left_s"] - begun_s, abs=TRUTH_S
    )
    last = next(row for row in came if row["replica"] == effect["critical_replica"])
    assert phase_s(effect, "initialize") == pytest.approx(
        last["left_s"] - last["entered_s"], abs=TRUTH_S
    )
    assert 0 <= effect["detect_s"]["lo"] < effect["updated_s"]["value"]


@pytest.mark.parametrize("name", THERE)
def test_an_update_is_over_when_the_last_replica_of_the_new_version_is_up(seen, name):
    assert_is_over_when_the_last_is_up(seen, 1, name, version=2)
    found, _ = event(seen.report, 1)
    assert found["deployments"][f"{name}/Beating"]["least_running"] == THERE[name] - 1


def test_the_failed_requests_of_an_update_are_those_that_the_old_replicas_broke_off(seen):
    found, _ = event(seen.report, 1)
    rows = [row for name in THERE for row in seen.rows(name, "requests.jsonl")]
    old = [row["event"] for row in rows if row["version"] == 1]

    broken_off = old.count("begun") - old.count("done")
    assert broken_off > 0
    # One may be done, and its answer lost with the replica.
    assert 0 <= found["failed"] - broken_off <= 1


@pytest.mark.parametrize(("index", "name"), [(2, "small"), (3, "large")])
def test_a_deletion_is_over_when_the_last_replica_is_gone(seen, index, name):
    found, begun_s = event(seen.report, index)
    beats = last_beats(seen.folders[name])
    there = [row for row in seen.rows(name, "starts.jsonl") if row["version"] == 2]
    gone_s = max(beats[row["replica"]] for row in there) - begun_s

    # The controller notices in its next turn that a process has ended.
    turn_s = 1 / seen.report["controller"]["loops_per_s"]
    assert -TRUTH_S <= found["healed_s"]["value"] - gone_s <= turn_s + TRUTH_S


@pytest.mark.parametrize("name", NEW)
def test_an_application_from_nothing_is_there_when_its_last_replica_is_up(seen, name):
    assert_is_over_when_the_last_is_up(seen, 4, name, version=1)


def serve(dashboard):
    return parse_payload(dashboard.get(APPLICATIONS_PATH).body)


def standing(dashboard):
    """Version and target of each application, while all of them run; None before."""
    there = serve(dashboard).applications
    if any(app.status != "RUNNING" for app in there.values()):
        return None
    return {
        name: (app.deployed_app_config["args"]["version"], found.target_num_replicas)
        for name, app in there.items()
        for found in app.deployments.values()
    }


AS_BEFORE = {name: (1, count) for name, count in THERE.items()}


def test_all_is_as_before_at_the_end(seen, dashboard):
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)

    for name in THERE:
        assert f"the application {name} is deployed again as it was" in seen.output
    for name in NEW:
        assert f"the application {name}, which an event deployed, is taken away" in seen.output
    assert "is left as it is" not in seen.output
    assert list(journal_folder(os.environ).glob("*")) == []


def test_an_interrupt_in_mid_event_leaves_nothing(
    on_cluster, dashboard, applications, folders, files
):
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)
    begun_s = time.time()
    command = on_cluster(
        *(*options(files), "--steps", "4rps:60s"),
        *("--event", "15s: kill 1 replica of large/Beating"),
        *("--event", f"16s: deploy {files}/newer.yaml"),
    )

    def is_updating():
        rows = starts_in(folders["large"]).values()
        return any(row["version"] == 2 and row["entered_s"] > begun_s for row in rows)

    wait_for(is_updating, "a replica of the new version", 120)
    os.kill(command.process.pid, signal.SIGINT)
    code, output = command.wait()

    assert code == 130, output
    assert event_jobs(dashboard) == []
    rows = load_run(command.run_dirs[-1]).run_events
    assert [row.error for row in rows] == [None, None]
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)
    assert list(journal_folder(os.environ).glob("*")) == []


def test_a_deploy_that_cannot_be_imported_failed_and_is_given_back(
    on_cluster, dashboard, applications, folders, files
):
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)
    broken = configured("small", folders["small"], 2, 2) | {"import_path": "nowhere_at_all:app"}
    file = write_config(files / "broken.yaml", broken)

    command = on_cluster(
        *(*options(files), "--steps", "4rps:40s", "--drain", "1"),
        *("--gate", "event.1.updated_s < 5", "--event", f"3s: deploy {file}"),
    )
    code, output = command.wait()

    assert code == 4, output
    found, _ = event(command.report(), 1)
    assert found["censored"]
    assert found["updated_s"]["hi"] is None
    assert "failed (DEPLOY_FAILED): ModuleNotFoundError" in found["reason"]
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)


def test_what_a_killed_run_changed_is_given_back_by_doctor(
    on_cluster, dashboard, applications, files
):
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)
    post_target(dashboard, "small", "Beating", 1)
    post_target(dashboard, "large", "Beating", 2)
    before = {"small": (1, 1), "large": (1, 2)}
    wait_for(lambda: standing(dashboard) == before, "targets by the API", 90)
    command = on_cluster(
        *(*options(files), "--steps", "4rps:60s"),
        *("--event", "2s: delete small", "--event", "2s: scale large/Beating to 4"),
    )
    changed = {"large": (1, 4)}
    wait_for(lambda: standing(dashboard) == changed, "what the events do", 120)
    load = psutil.Process(command.process.pid).children(recursive=True)
    for process in [command.process, *load]:
        os.kill(process.pid, signal.SIGKILL)
    command.process.wait()

    _, said = on_cluster("doctor").wait()
    _, undone = on_cluster("doctor", "--take-away").wait()

    assert "large, small" in " ".join(said.split()), said
    assert "the application small is deployed again as it was" in undone, undone
    wait_for(lambda: standing(dashboard) == before, "the applications as before", 90)
    post_target(dashboard, "small", "Beating", 2)
    post_target(dashboard, "large", "Beating", 3)
    wait_for(lambda: standing(dashboard) == AS_BEFORE, "the applications as before", 90)
