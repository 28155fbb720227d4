"""`scalelag run --workers-on-ray`: load workers on a real cluster, as the server saw their requests.

The target is an endpoint of the tests that notes what reaches it; the cluster is there to be watched
and to send the load.
"""

import re
import signal
import time

import msgspec
import numpy as np
import psutil
import pytest

from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience
from tests.live.load_workers import CLOCKS_S, QUICK, actors, answer, due, recorded
from tests.support.servers.http_echo import running_echo
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

LAST_ROWS_S = 2.0
"""Rows that a killed worker has not handed over: half a second, more on a busy machine."""
# Of the processes that a run has on the cluster, what their command lines hold.
OURS = ("scalelag.cluster.ray_job.driver_main", "scalelag.cluster.ray_job.worker_main", "-m locust")


@pytest.fixture
def echo():
    with running_echo() as echo:
        yield echo


@pytest.fixture(scope="module")
def app(dashboard):
    """An application to be watched; the load does not go to it."""
    names = deploy(dashboard, resolve_app("sleeper", [], importable_here=True))
    yield
    undeploy(dashboard, names, Patience(150, time.monotonic, time.sleep))


@pytest.fixture
def run(on_cluster, echo, app):
    """Starts a run of two workers that the cluster of the session sends to the endpoint."""

    def start(*arguments):
        where = ["--host", echo.url, "--workers-on-ray", "2"]
        return on_cluster("run", *QUICK, *where, *arguments, host=False)

    return start


def await_requests(command, echo, count):
    def look():
        assert command.process.poll() is None, command.output
        return len(echo.arrivals()) >= count

    try:
        wait_for(look, "requests", 120)
    except AssertionError as error:
        raise AssertionError(f"{error}: {command.output}") from None


def jobs(dashboard):
    """Ray's list of the jobs that were submitted for load workers."""
    return [
        job
        for job in answer(dashboard, "/api/jobs/")
        if (job["submission_id"] or "").startswith("scalelag-load-")
    ]


def of_cluster(token):
    """Processes of a cluster and of what was started on it, by what its token is known to."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_AUTH_TOKEN") == token:
                found.append(process)
        except psutil.Error:
            continue
    return found


def command_lines(processes):
    lines = {}
    for process in processes:
        try:
            lines[process] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return lines


def left_behind(token):
    lines = command_lines(of_cluster(token))
    return [p for p, line in lines.items() if any(text in line for text in OURS)]


def locust_workers(token):
    lines = command_lines(of_cluster(token))
    return [p for p, line in lines.items() if "-m locust" in line and "--worker" in line]


def assert_nothing_stays(cluster, dashboard):
    """Ray ends the actors of a job once the job has ended, and they their processes."""
    assert jobs(dashboard) == []
    try:
        wait_for(lambda: not left_behind(cluster.token), "the end of the processes", 20)
    except AssertionError as error:
        raise AssertionError(f"{error}: {command_lines(left_behind(cluster.token))}") from None
    wait_for(lambda: not actors(dashboard), "the end of the actors", 20)


def test_a_plan_is_sent_by_actors_each_its_share_and_nothing_of_them_stays(
    run, echo, cluster, dashboard
):
    command = run("--steps", "40rps:3s,120rps:3s,40rps:1s")
    await_requests(command, echo, 20)
    placed, (job,), workers = actors(dashboard), jobs(dashboard), locust_workers(cluster.token)
    ancestors = [{p.pid for p in worker.parents()} for worker in workers]
    lines = command_lines(of_cluster(cluster.token)).values()
    code, output = command.wait()

    rows, info = recorded(command)
    report, arrivals = command.report(), np.sort([a.at_s for a in echo.arrivals()])
    assert code == (5 if report["load"]["on_time_ratio"] < 0.99 else 0), output
    # The load came from two processes, each below an actor of its own, and only from those.
    assert len(placed) == len(workers) == info["workers"] == 2
    senders = [{actor["pid"] for actor in placed} & above for above in ancestors]
    assert [len(one) for one in senders] == [1, 1]
    assert senders[0] != senders[1]
    # The plan: every arrival once, also as the server counts, and each worker has its turns.
    plan = due((40, 3), (120, 3), (40, 1))
    assert np.allclose(rows.intended_s - info["zero_s"], plan, atol=1e-6)
    assert arrivals.size == plan.size == report["load"]["sent"]
    for index in range(2):
        own_s = rows.intended_s[rows.worker == index] - info["zero_s"]
        assert np.allclose(own_s, plan[index::2], atol=1e-6)
    # Their clocks: as far off as is said, and what they call the time of a request was it.
    offsets = [(one["offset_s"], one["error_s"]) for one in info["load_workers"]]
    assert all(error_s > 0 and abs(offset_s) <= error_s + CLOCKS_S for offset_s, error_s in offsets)
    known_s = CLOCKS_S + max(error_s for _, error_s in offsets)
    assert np.max(np.sort(rows.intended_s + rows.send_lag_s) - arrivals) <= known_s
    assert np.max(arrivals - np.sort(rows.intended_s + rows.latency_s)) <= known_s
    assert re.search(r"2 load processes on 1 machine · their clocks known to ±\d", output)
    # Nobody else can read the token, and nothing of it all is left.
    assert cluster.token not in msgspec.json.encode(job).decode()
    assert not [line for line in lines if cluster.token in line]
    assert_nothing_stays(cluster, dashboard)


def test_a_killed_actor_is_a_row_its_arrivals_are_not_sent_and_the_run_goes_on(
    run, echo, cluster, dashboard
):
    command = run("--steps", "60rps:3s,40rps:5s")
    await_requests(command, echo, 40)
    victim = psutil.Process(actors(dashboard)[0]["pid"])
    assert victim.name().startswith("ray::LoadWorker")
    victim.kill()
    killed_s = time.time()
    code, output = command.wait()

    rows, info = recorded(command)
    report = command.report()
    (gone,) = (one for one in info["load_workers"] if one["lost_at_s"] is not None)
    (stayed,) = (one for one in info["load_workers"] if one["lost_at_s"] is None)
    died_s = killed_s - info["zero_s"]
    assert code == 5, output  # more than 1 % was not sent on time
    assert info["status"] == "complete"
    # Every arrival has one row; what the killed one was to send from then on says "not sent".
    plan = due((60, 3), (40, 5))
    assert np.allclose(rows.intended_s - info["zero_s"], plan, atol=1e-6)
    mine = rows.worker == gone["index"]
    share = plan[gone["index"] :: 2]
    sent = int(np.count_nonzero(mine & ~rows.not_sent))
    not_sent_s = rows.intended_s[mine & rows.not_sent] - info["zero_s"]
    assert np.allclose(not_sent_s, share[sent:], atol=1e-6)
    assert np.count_nonzero(share < died_s - LAST_ROWS_S) <= sent < share.size
    assert int(np.count_nonzero(rows.not_sent & ~mine)) == 0
    assert (gone["lost_arrivals"], stayed["lost_arrivals"]) == (share.size - sent, 0)
    assert report["load"]["not_sent"] == share.size - sent
    # It is said while it happens and in the report.
    assert f"load process {gone['index']} on " in output
    assert "the run goes on with 1 of 2" in output
    assert sum(" was lost from " in warning for warning in report["warnings"]) == 1
    assert_nothing_stays(cluster, dashboard)


def interrupt(command):
    command.process.send_signal(signal.SIGINT)


def kill_the_leader(command):
    (leader,) = psutil.Process(command.process.pid).children()
    leader.kill()


@pytest.mark.parametrize(("end", "code"), [(interrupt, 130), (kill_the_leader, 5)])
def test_a_run_that_is_broken_off_takes_its_workers_down(run, echo, cluster, dashboard, end, code):
    command = run("--steps", "20rps:60s")
    await_requests(command, echo, 10)
    end(command)
    ended_with, output = command.wait(60)

    assert ended_with == code, output
    assert_nothing_stays(cluster, dashboard)


def test_workers_of_a_command_that_was_killed_end_by_themselves(run, echo, cluster, dashboard):
    command = run("--steps", "20rps:60s")
    await_requests(command, echo, 10)
    command.process.kill()

    wait_for(lambda: not left_behind(cluster.token), "all processes gone", 45)
    wait_for(lambda: [j["status"] for j in jobs(dashboard)] == ["SUCCEEDED"], "the job's end", 120)
    (job,) = jobs(dashboard)
    dashboard.delete(f"/api/jobs/{job['submission_id']}")
