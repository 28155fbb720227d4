"""Locust's web page with our plugin: several tests in one process, each a run of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests

from tests.sim.http_echo import running_echo
from tests.sim.scenarios import one_deployment, steady_replica
from tests.sim.standin import ROOT, running_standin

STEPPED = str(ROOT / "locustfiles" / "stepped.py")


class Page:
    """A Locust with its web page, driven by the requests that the page sends."""

    def __init__(self, process, url, folder):
        self.process = process
        self._url = url
        self._folder = folder

    @property
    def output(self):
        return (self._folder / "output").read_text()

    def is_up(self):
        try:
            return requests.get(self._url, timeout=2).ok
        except requests.RequestException:
            return False

    def start(self, **fields):
        form = {"user_count": "1", "spawn_rate": "1", **fields}
        answer = requests.post(f"{self._url}/swarm", data=form, timeout=10).json()
        assert answer["success"], answer

    def stop(self):
        assert requests.post(f"{self._url}/stop", timeout=30).ok

    def runs(self):
        """run.json of each run, those that are closed only."""
        closed = sorted((self._folder / "runs").glob("*/report.json"))
        return [json.loads((path.parent / "run.json").read_bytes()) for path in closed]


@contextmanager
def page(folder, *arguments):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "locust", "-f", STEPPED, "--web-host", "127.0.0.1"]
    command += ["--web-port", str(port), "--drain", "0", *arguments]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Page(process, f"http://127.0.0.1:{port}", folder)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def opened_page(folder, until, *arguments):
    with running_standin(one_deployment(steady_replica())) as standin, running_echo() as echo:
        where = ["--host", echo.url, "--dashboard", standin.url]
        with page(folder, *where, *arguments) as opened:
            until(opened.is_up, 30, "the page is up")
            yield opened


@pytest.fixture
def web(tmp_path, until):
    with opened_page(tmp_path, until) as opened:
        yield opened


@pytest.fixture
def port():
    """What tells this Locust's workers from those of others: the port of its leader."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = str(probe.getsockname()[1])
    return ["--master-bind-port", number, "--master-port", number]


def test_two_tests_in_one_process_are_two_runs_with_their_own_plans(web, until):
    web.start(steps="20rps:2s")
    until(lambda: len(web.runs()) == 1, 30, "first run closed")
    web.start(steps="10rps:1s,30rps:2s", json_body="")
    until(lambda: len(web.runs()) == 2, 30, "second run closed")

    first, second = web.runs()
    assert (first["plan"]["text"], first["status"]) == ("20rps:2s", "complete")
    assert (second["plan"]["text"], second["status"]) == ("10rps:1s,30rps:2s", "complete")
    assert (first["planned_requests"], second["planned_requests"]) == (40, 70)
    until(lambda: web.output.count("PASS") == 2, 30, "both reports printed")


def test_stop_in_mid_step_closes_the_run_and_the_next_one_is_whole(web, until):
    web.start(steps="20rps:60s")
    until(lambda: "stage 1/1" in web.output, 30, "load under way")
    web.stop()
    until(lambda: len(web.runs()) == 1, 30, "first run closed")
    web.start(steps="20rps:2s")
    until(lambda: len(web.runs()) == 2, 30, "second run closed")

    first, second = web.runs()
    assert (first["status"], second["status"]) == ("interrupted", "complete")


def test_a_bad_plan_is_refused_and_the_page_goes_on(web, until):
    web.start(steps="20rpm:2s")
    until(lambda: 'unknown unit "rpm"' in web.output, 30, "the message")
    web.start(steps="20rps:2s")
    until(lambda: len(web.runs()) == 1, 30, "a run closed")

    assert web.runs()[0]["status"] == "complete"


def test_a_trace_takes_the_place_of_the_steps_and_the_steps_that_of_the_trace(web, until, tmp_path):
    (tmp_path / "mine.csv").write_text("rps\n20\n30\n")
    web.start(steps="", trace="mine.csv", trace_column="")
    until(lambda: len(web.runs()) == 1, 30, "first run closed")
    web.start(steps="20rps:1s", trace="", trace_column="")
    until(lambda: len(web.runs()) == 2, 30, "second run closed")

    first, second = web.runs()
    assert (first["plan"]["text"], first["planned_requests"]) == ("trace mine.csv", 50)
    assert (second["plan"]["text"], second["planned_requests"]) == ("20rps:1s", 20)
    assert second["trace"] is None


def test_sigterm_ends_the_page_and_its_run_in_good_order(web, until):
    web.start(steps="20rps:60s")
    until(lambda: "stage 1/1" in web.output, 30, "load under way")
    web.process.terminate()

    assert web.process.wait(30) == 130
    assert web.runs()[0]["status"] == "interrupted"


def test_workers_that_were_stopped_are_not_lost_and_take_part_in_the_next_run(
    tmp_path, until, port
):
    with opened_page(tmp_path, until, "--processes", "2", *port) as web:
        until(lambda: "2 workers connected" in web.output, 30, "the workers")
        web.start(steps="20rps:60s")
        until(lambda: "stage 1/1" in web.output, 30, "load under way")
        web.stop()
        until(lambda: len(web.runs()) == 1, 30, "first run closed")
        until(lambda: web.output.count("reported as ready") >= 4, 60, "the workers are ready again")
        web.start(steps="20rps:2s")
        until(lambda: len(web.runs()) == 2, 30, "second run closed")

        first, second = web.runs()
    assert (first["status"], second["status"]) == ("interrupted", "complete")
    for run in (first, second):
        assert [one["lost_reason"] for one in run["load_workers"]] == [None, None]
    assert [one["lost_arrivals"] for one in second["load_workers"]] == [0, 0]


def test_a_test_without_a_worker_is_refused_and_the_page_goes_on(tmp_path, until, port):
    with opened_page(tmp_path, until, "--master", *port) as web:
        for times in (1, 2):
            web.start(steps="20rps:2s")
            until(
                lambda times=times: web.output.count("No load process is connected") == times,
                what="the message",
            )
