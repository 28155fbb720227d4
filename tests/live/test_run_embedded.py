"""`scalelag run`: the main job on a cluster of its own, and every way in which it can end.

Faults that leave the cluster whole are made on the one that is there.
"""

import signal
import time

import msgspec
import psutil
import pytest

from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience, ready_payload
from tests.live.conftest import valid_run
from tests.support.processes import marked
from tests.support.waiting import wait_for
from tools.diagnosis.processes import controller_pid, dashboard_pid, stopped

QUICK = ["--app-arg", "upscale_delay_s=1", "--app-arg", "downscale_delay_s=2", "--out", "runs"]
# Long enough for a scale-up, also on a busy machine, and a scale-down.
FAST = [*QUICK, "--steps", "4rps:3s,30rps:16s,4rps:9s"]
BRIEF = [*QUICK, "--steps", "4rps:3s,30rps:8s", "--drain", "2"]
ON_WHAT_IS_THERE = ["--out", "runs", "--steps", "4rps:3s,30rps:8s", "--drain", "2"]
PATIENCE = Patience(150, time.monotonic, time.sleep)


@pytest.fixture(scope="module")
def sleeper(dashboard):
    """An application on the shared cluster."""
    settings = ["upscale_delay_s=1", "downscale_delay_s=2"]
    names = deploy(dashboard, resolve_app("sleeper", settings, importable_here=True))
    PATIENCE.retry(lambda: ready_payload(dashboard, [], names))
    yield
    undeploy(dashboard, names, PATIENCE)


def descendants(command):
    return psutil.Process(command.process.pid).children(recursive=True)


def load_process(command):
    return next(p for p in descendants(command) if "locust" in " ".join(p.cmdline()))


def dashboard_process(command):
    return next(
        p for p in descendants(command) if "dashboard/dashboard.py" in " ".join(p.cmdline())
    )


def run_info(command):
    return msgspec.json.decode((command.run_dirs[-1] / "run.json").read_bytes())


def logged_parts(step):
    """The parts of a step's total that its cluster's logs tell."""
    return [p for p in step["phases"] if p["part_of"] == "total" and p["source"] == "log"]


def test_one_command_reports_both_ways_with_phases_and_judges_the_gates(scalelag):
    """Gates are judged again, and differently, by a report on the record."""
    command, code, output = valid_run(
        scalelag,
        *("run", *FAST, "--processes", "2"),
        *("--gate", "scale_up.total_s.max <= 60", "--gate", "scale_up.total_s.max <= 0.5"),
    )
    assert code == 4, output
    folder = str(command.run_dirs[-1])
    again = scalelag("report", folder)
    lenient = scalelag("report", folder, "--gate", "scale_up.total_s.max <= 999")

    judged = [(gate["verdict"], gate["default"]) for gate in command.report()["gates"]]
    assert judged == [("pass", False), ("fail", False), ("pass", True), ("pass", True)]
    assert again.wait()[0] == 4
    lenient_code, printed = lenient.wait()
    assert lenient_code == 0, printed
    assert "PASS" in printed
    assert run_info(command)["workers"] == 2
    assert command.report()["load"]["planned"] == run_info(command)["planned_requests"]
    (deployment,) = command.report()["deployments"].values()
    up = [s for s in deployment["steps"] if s["direction"] == "up" and s["total_s"]]
    down = [s for s in deployment["steps"] if s["direction"] == "down" and s["total_s"]]
    assert [p["name"] for p in logged_parts(up[0])] == [
        "decide",
        "create",
        "allocate",
        "initialize",
        "mark_running",
    ]
    assert [p["name"] for p in logged_parts(down[0])] == ["decide", "stop", "drain"]
    for step in up + down:
        parts = sum(p["value"] for p in logged_parts(step))
        assert abs(parts + step["unattributed_s"] - step["total_s"]["value"]) < 1e-6


def test_ctrl_c_closes_the_run_and_takes_everything_down(scalelag):
    command = scalelag("run", *BRIEF)
    command.wait_for_output("stage 2/2")
    command.process.send_signal(signal.SIGINT)
    code, output = command.wait(60)

    assert code == 130, output
    assert run_info(command)["status"] == "interrupted"
    assert "INVALID" in output
    assert "interrupted" in output


@pytest.mark.long
def test_sigterm_while_the_cluster_starts_takes_everything_down(scalelag):
    command = scalelag("run", *BRIEF)
    command.wait_for_output("starting an embedded Ray cluster")
    command.process.terminate()
    code, output = command.wait(60)

    assert code == 130, output
    assert command.run_dirs == []


@pytest.mark.long
def test_kill_9_of_the_command_leaves_no_process(scalelag):
    command = scalelag("run", *BRIEF)
    command.wait_for_output("stage 2/2")
    mark = command.mark
    assert len(marked(mark)) > 5
    command.process.kill()

    wait_for(lambda: not marked(mark), "all processes gone", 45)


def test_an_app_that_cannot_start_is_named_with_its_error(on_cluster):
    command = on_cluster(
        "run", "--app", "tests.live.broken_app:app", "--wait", "40", "--out", "runs"
    )
    code, output = command.wait()

    assert code == 3, output
    assert "no model here" in output
    assert command.run_dirs == []


@pytest.mark.long
def test_kill_9_of_the_load_process_leaves_a_run_that_can_be_reported(
    on_cluster, scalelag, sleeper
):
    command = on_cluster("run", *ON_WHAT_IS_THERE)
    command.wait_for_output("stage 2/2")
    load_process(command).send_signal(signal.SIGKILL)
    code, output = command.wait(60)
    report = scalelag("report", str(command.run_dirs[-1]))
    report_code, reported = report.wait()

    assert code == 5, output
    assert "killed by signal 9" in output
    assert report_code == 5, reported
    assert "interrupted" in reported
    assert "30" in reported


@pytest.mark.long
def test_the_run_goes_on_while_the_dashboard_is_stopped_and_says_what_it_missed(
    on_cluster, dashboard, sleeper
):
    # A line of the live view comes every 5 s: the load has to last until one says it.
    command = on_cluster("run", *ON_WHAT_IS_THERE, "--steps", "4rps:3s,20rps:26s")
    command.wait_for_output("stage 2/2")
    with stopped(dashboard_pid(dashboard)):
        command.wait_for_output("probe blind", 30)
    code, output = command.wait()

    report = command.report()
    assert code in (0, 5), output
    assert report["probe"]["gaps"] >= 1
    assert "the probe saw nothing from" in output
    assert report["load"]["sent"] == report["load"]["planned"]


@pytest.mark.long
def test_a_killed_dashboard_leaves_the_load_running_and_a_run_that_is_invalid(scalelag):
    command = scalelag("run", *BRIEF)
    command.wait_for_output("stage 2/2")
    dashboard_process(command).kill()
    code, output = command.wait()

    report = command.report()
    assert code == 5, output
    assert "the probe saw nothing" in output
    assert report["load"]["sent"] == report["load"]["planned"]


@pytest.mark.long
def test_a_killed_controller_is_a_row_and_a_warning(on_cluster, dashboard, sleeper):
    command = on_cluster("run", *ON_WHAT_IS_THERE)
    command.wait_for_output("stage 2/2")
    psutil.Process(controller_pid(dashboard)).kill()
    code, output = command.wait()

    assert code in (0, 5), output
    assert command.report()["probe"]["restarts"] == 1
    assert "the Serve controller restarted at" in output
    assert command.report()["load"]["error_ratio"] < 0.05


def test_bad_usage_is_refused_before_anything_is_started(scalelag):
    bad = {
        'unknown unit "rpm"': ["--steps", "10rpm:5s"],
        "scale_up.total_s": ["--gate", "scale_up.totl_s.max <= 3"],
        "is no built-in app (sleeper": ["--app", "nosuch"],
        "there is no module nosuch_module": ["--app", "nosuch_module:app"],
        "-f theirs.py": ["-f", "theirs.py"],
        "No such option": ["--nosuch"],
        "is not of the form KEY=VALUE": ["--app-arg", "novalue"],
        '"127.0.0.1:8000" is not a URL': ["--host", "127.0.0.1:8000"],
        '--dashboard: "localhost:8265" is not a URL': [
            *("--host", "http://127.0.0.1:9"),
            *("--dashboard", "localhost:8265"),
        ],
        '--name: the name "a/b"': ["--name", "a/b"],
        "the level 2000000 is over 1,000,000": ["--steps", "2000000rps:5s"],
        "looks like a secret": ["--header", "Authorization: Bearer abc"],
        "${NO_SUCH_VARIABLE}, which is not set": ["--header", "Authorization: ${NO_SUCH_VARIABLE}"],
        "--body-file nothing.json": ["--body-file", "nothing.json"],
        "this is not JSON": ["--json-body", "{broken"],
    }
    commands = {text: scalelag("run", *arguments) for text, arguments in bad.items()}
    for text, arguments in bad.items():
        code, output = commands[text].wait(60)

        assert code == 2, (arguments, output)
        assert text in output, (arguments, output)
        assert "embedded" not in output
