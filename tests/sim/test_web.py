"""Locust's web page with our plugin: several tests in one process, each a run of its own."""

import json
import re

import pytest

from tests.support.locust_page import page_on_standin
from tests.support.ports import free_port
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT


@pytest.fixture
def web(tmp_path):
    with page_on_standin(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def refusing(tmp_path_factory):
    """A page on which nothing is ever started."""
    with page_on_standin(tmp_path_factory.mktemp("refusing")) as opened:
        yield opened


@pytest.fixture
def port():
    """Arguments that tell this Locust's workers from those of others: the port of its master."""
    number = str(free_port())
    return ["--master-bind-port", number, "--master-port", number]


@pytest.mark.long
def test_two_tests_in_one_process_are_two_runs_with_their_own_plans_and_names(web, until):
    web.start(steps="20rps:2s", path="/first")
    until(lambda: len(web.runs()) == 1, 30, "first run closed")
    web.start(steps="10rps:1s,30rps:2s", json_body="", path="/second")
    until(lambda: len(web.runs()) == 2, 30, "second run closed")

    first, second = web.runs()
    assert (first["plan"]["text"], first["status"]) == ("20rps:2s", "complete")
    assert (second["plan"]["text"], second["status"]) == ("10rps:1s,30rps:2s", "complete")
    assert (first["planned_requests"], second["planned_requests"]) == (40, 70)
    verdict = re.compile(r"PASS +\S+ on Ray")
    until(lambda: len(verdict.findall(web.output)) == 2, 30, "both reports printed")
    reports = [json.loads((path / "report.json").read_bytes()) for path in web.run_dirs]
    assert [list(report["load"]["names"]) for report in reports] == [["/first"], ["/second"]]


THEIRS = """
from locust import HttpUser, constant, task


class Theirs(HttpUser):
    wait_time = constant(0.1)

    @task
    def visit(self):
        self.client.get("/")
"""


@pytest.mark.long
def test_users_of_ones_own_and_a_plan_of_rps_are_refused_in_the_form(tmp_path, until):
    (tmp_path / "theirs.py").write_text(THEIRS)
    files = f"{ROOT / 'locustfiles' / 'attached.py'},{tmp_path / 'theirs.py'}"
    with page_on_standin(tmp_path, locustfile=files) as web:
        refused = web.swarm(steps="20rps:2s")
        web.start(steps="2users:2s")
        until(lambda: len(web.run_dirs) == 1, 30, "a run closed")

    assert refused["success"] is False
    assert "rps" in refused["message"]
    assert refused["field"] == "steps"


def test_stop_in_mid_step_closes_the_run_and_the_next_one_is_whole(web, until):
    web.start(steps="20rps:60s")
    until(web.is_sending, 30, "load under way")
    web.stop()
    until(lambda: len(web.runs()) == 1, 30, "first run closed")
    web.start(steps="20rps:2s")
    until(lambda: len(web.runs()) == 2, 30, "second run closed")

    first, second = web.runs()
    assert (first["status"], second["status"]) == ("interrupted", "complete")


def test_a_bad_plan_is_refused_in_the_form_and_the_page_goes_on(web, until):
    answer = web.swarm(steps="20rpm:2s")
    web.start(steps="20rps:2s")
    until(lambda: len(web.runs()) == 1, 30, "a run closed")

    assert answer["success"] is False
    assert 'unknown unit "rpm"' in answer["message"]
    assert 'unknown unit "rpm"' in web.output
    assert web.runs()[0]["status"] == "complete"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("steps", ""), ("steps", "<b>\n"), ("steps", "NaNrps:1s"), ("repeat", "1e999")),
        *(("host", ""), ("host", "x" * 100_000), ("host", "http://a b"), ("dashboard", "\0")),
        *(("seed", "9" * 5000), ("drain", "NaN"), ("path", "/ä b"), ("json_body", "{")),
        *(("user_count", "1e999"), ("spawn_rate", "NaN"), ("run_time", "9" * 400 + "h")),
    ],
)
def test_an_odd_value_starts_nothing_and_is_refused_at_its_field(refusing, name, value):
    answer = refusing.swarm(**{"steps": "1rps:1s", name: value})

    assert (answer["success"], answer["field"]) == (False, name)
    assert len(answer["message"]) < 600
    assert refusing.live()["state"] == "none"


@pytest.mark.long
def test_a_trace_takes_the_place_of_the_steps_and_the_steps_that_of_the_trace(until, tmp_path):
    (tmp_path / "mine.csv").write_text("rps\n20\n30\n")
    with page_on_standin(tmp_path, "--trace", "mine.csv") as web:
        web.start(steps="", trace="mine.csv")
        until(lambda: len(web.runs()) == 1, 30, "first run closed")
        web.start(steps="20rps:1s", trace="", trace_column="")
        until(lambda: len(web.runs()) == 2, 30, "second run closed")
        web.start(steps="", trace="mine.csv")
        until(lambda: len(web.runs()) == 3, 30, "third run closed")

        first, second, third = web.runs()
    assert (first["plan"]["text"], first["planned_requests"]) == ("trace mine.csv", 50)
    assert (second["plan"]["text"], second["planned_requests"]) == ("20rps:1s", 20)
    assert second["trace"] is None
    assert (third["plan"]["text"], third["planned_requests"]) == ("trace mine.csv", 50)


def test_nobody_who_reaches_the_page_can_name_a_file_or_a_secret_of_this_machine(web, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("rps\n20\n")
    asked = dict.fromkeys(("body_file", "data", "trace", "out", "dashboard_ca"), str(secret))
    asked["header"] = "X: ${HOME}"

    answers = {name: web.swarm(steps="20rps:1s", **{name: text}) for name, text in asked.items()}

    assert [name for name, answer in answers.items() if answer["success"]] == []
    for name, answer in answers.items():
        refused = answer["message"].split()[0].removeprefix("--").replace("-", "_")
        assert name in (answer["field"], refused)
    assert (web.live()["state"], web.form().keys() & asked.keys()) == ("none", {"out"})


@pytest.mark.long
def test_sigterm_ends_the_page_and_its_run_in_good_order(web, until):
    web.start(steps="20rps:60s")
    until(web.is_sending, 30, "load under way")
    web.process.terminate()

    assert web.process.wait(30) == 130
    assert web.runs()[0]["status"] == "interrupted"


@pytest.mark.long
def test_workers_that_were_stopped_are_not_lost_and_take_part_in_the_next_run(
    tmp_path, until, port
):
    with page_on_standin(tmp_path, "--processes", "2", *port) as web:
        until(lambda: "2 workers connected" in web.output, 30, "the workers")
        web.start(steps="20rps:60s")
        until(web.is_sending, 30, "load under way")
        web.stop()
        until(lambda: len(web.runs()) == 1, 60, "first run closed")
        until(lambda: web.output.count("reported as ready") >= 4, 60, "the workers are ready again")
        web.start(steps="20rps:8s")
        until(lambda: len(web.runs()) == 2, 60, "second run closed")

        first, second = web.runs()
    assert (first["status"], second["status"]) == ("interrupted", "complete")
    for run in (first, second):
        assert [one["lost_reason"] for one in run["load_workers"]] == [None, None]
    # Each has half of 160; a worker without a turn for some seconds sends fewer.
    assert max(one["lost_arrivals"] for one in second["load_workers"]) < 80


@pytest.mark.long
def test_a_test_without_a_worker_is_refused_and_the_page_goes_on(tmp_path, port):
    with page_on_standin(tmp_path, "--master", *port) as web:
        for _ in range(2):
            answer = web.swarm(steps="20rps:2s")
            assert (answer["success"], answer["message"]) == (
                False,
                "No load process is connected: start some with --worker, or use --processes.",
            )


@pytest.mark.long
def test_a_start_that_is_refused_does_not_redirect_the_test_that_runs(web, until, tmp_path):
    with running_echo() as other:
        web.start(steps="20rps:4s")
        until(web.is_sending, 30, "load under way")
        answer = web.swarm(steps="99rps:9s", host=other.url, path="/other")
        until(lambda: len(web.runs()) == 1, 30, "the run closed")

        assert (answer["success"], other.arrivals()) == (False, [])
        assert "A test is running" in answer["message"]
    (run,) = web.runs()
    assert (run["status"], run["plan"]["text"]) == ("complete", "20rps:4s")
    assert answer["host"] == run["target"]["host"]
