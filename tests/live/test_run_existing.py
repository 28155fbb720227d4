"""`scalelag` against a cluster that is there: doctor, deployment beside others, bad targets."""

import msgspec
import pytest

from probes.dashboard import APPLICATIONS_PATH
from probes.serve_state import parse_payload
from tests.support.waiting import wait_for

SLEEPER = ["--app", "sleeper", "--app-arg", "upscale_delay_s=1", "--app-arg", "downscale_delay_s=2"]


def clear(dashboard):
    """Take all applications away, and wait until they are gone."""
    dashboard.put(APPLICATIONS_PATH, {"applications": []})
    wait_for(lambda: not applications(dashboard), "an empty cluster", 120)


def applications(dashboard):
    return set(parse_payload(dashboard.get(APPLICATIONS_PATH).body).applications)


def test_doctor_says_what_is_short(on_cluster, dashboard):
    config = {
        "name": "greedy",
        "import_path": "serve_apps.sleeper:app",
        "args": {"num_cpus": 3, "max_replicas": 10},
    }
    dashboard.put(APPLICATIONS_PATH, {"applications": [config]})
    try:
        _code, output = on_cluster("doctor", "--wait", "20").wait()
    finally:
        clear(dashboard)

    assert "CPU: " in output, output
    assert "short" in output, output


def test_a_run_from_zero_replicas_measures_the_cold_start(on_cluster):
    command = on_cluster(
        *("run", "--app", "cold_start", "--app-arg", "init_time_s=1.5"),
        *("--steps", "2rps:12s", "--out", "runs", "--drain", "40"),
    )
    code, output = command.wait()

    assert code in (0, 5), output
    (deployment,) = command.report()["deployments"].values()
    first = deployment["steps"][0]
    assert (first["replicas_before"], first["total_s"] is None) == (0, False), output
    initialize = next(p for p in first["phases"] if p["name"] == "initialize")
    assert initialize["lo"] <= 1.7
    assert initialize["hi"] >= 1.4
    assert deployment["replicas"]["final"] == 0


@pytest.mark.long
def test_a_locustfile_of_ones_own_is_recorded_beside_the_probe(on_cluster, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "from locust import HttpUser, constant, task\n"
        "class Theirs(HttpUser):\n"
        "    wait_time = constant(0.2)\n"
        "    @task\n"
        "    def ask(self):\n"
        "        self.client.get('/', name='their request')\n"
    )
    command = on_cluster(
        *("run", *SLEEPER, "-f", "theirs.py"),
        *("--steps", "1users:4s,4users:8s", "--out", "runs", "--drain", "2"),
    )
    code, output = command.wait()

    assert code in (0, 5), output
    assert command.report()["load"]["completed"] > 20
    assert b"their request" in (command.run_dirs[-1] / "requests.arrow").read_bytes()
    edges = msgspec.json.decode((command.run_dirs[-1] / "run.json").read_bytes())["edges"]
    assert [edge["planned_s"] for edge in edges] == [0.0, 4.0, 12.0]  # the last one is the end


def test_a_missing_or_wrong_token_is_told_apart(on_cluster):
    words = {"": "requires a token", "wrong": "does not accept the token"}
    begun = [
        (on_cluster(*command, RAY_AUTH_TOKEN=token), said)
        for token, said in words.items()
        for command in (["run", "--steps", "1rps:2s", "--out", "runs"], ["doctor"])
    ]

    for command, said in begun:
        code, output = command.wait(60)
        assert code == 3, output
        assert said in " ".join(output.split()), output
        assert command.run_dirs == []


@pytest.fixture(scope="module")
def other_app(dashboard):
    """An application of somebody else's that must survive; it is there for the tests below."""
    config = {"name": "other", "route_prefix": "/other", "import_path": "serve_apps.sleeper:app"}
    dashboard.put(APPLICATIONS_PATH, {"applications": [config]})
    yield "other"
    clear(dashboard)


def test_an_app_is_deployed_beside_others_and_taken_away_again(on_cluster, dashboard, other_app):
    command = on_cluster("run", *SLEEPER, "--steps", "4rps:5s", "--out", "runs", "--drain", "3")
    code, output = command.wait()

    assert code in (0, 5), output
    assert set(command.report()["deployments"]) == {"default/Sleeper", "other/Sleeper"}
    assert applications(dashboard) == {other_app}


def test_rps_stages_want_an_arrival_user(on_cluster, tmp_path, other_app):
    (tmp_path / "theirs.py").write_text(
        "from locust import HttpUser, task\n"
        "class Theirs(HttpUser):\n"
        "    @task\n"
        "    def ask(self):\n"
        "        self.client.get('/')\n"
    )
    command = on_cluster("run", "-f", "theirs.py", "--steps", "5rps:5s", "--out", "runs")
    code, output = command.wait()

    assert code == 2, output
    assert "PlanUser" in output


def test_doctor_describes_a_fit_cluster(on_cluster, other_app):
    code, output = on_cluster("doctor", "--wait", "20").wait()

    assert code in (0, 3), output
    for word in ("Ray 2.60.0", "other/Sleeper", "upscale_delay_s 2", "HTTP", "clock", "room"):
        assert word in output, output


def test_nothing_at_the_url_and_no_such_deployment_are_named(on_cluster, scalelag, other_app):
    nothing = scalelag(
        *("run", "--host", "http://127.0.0.1:9", "--dashboard", "http://127.0.0.1:9"),
        *("--out", "runs", "--wait", "2"),
    )
    unknown = on_cluster("run", "--deployment", "default/Nobody", "--out", "runs")
    no_app = on_cluster("run", "--deployment", "other/Nobody", "--out", "runs")

    for command, words in (
        (nothing, "connection refused"),
        (unknown, "No deployment default/Nobody"),
        (no_app, "No deployment other/Nobody"),
    ):
        code, output = command.wait(60)
        assert code == 3, output
        assert words in output, output
