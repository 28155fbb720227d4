"""The page of a master, and a worker that was started by itself: one test after another."""

from contextlib import contextmanager

import pytest

from tests.support.locust_page import page_on_standin, running_worker
from tests.support.ports import free_port
from tests.support.waiting import wait_for

TESTS = (("20rps:2s,40rps:2s", [20, 20, 40, 40]), ("10rps:2s", [10, 10]))
"""Steps, and what is due in each second."""


@contextmanager
def master_and_worker(folder, *arguments):
    port = str(free_port())
    leads = ("--master", "--master-bind-port", port, *arguments)
    with page_on_standin(folder, *leads) as page, running_worker(folder, port):
        wait_for(lambda: "1 workers connected" in page.output, "the worker")
        yield page


@pytest.fixture
def web(tmp_path):
    with master_and_worker(tmp_path) as page:
        yield page


@pytest.mark.long
def test_a_master_leads_one_test_after_another_from_the_form_to_the_report(web):
    for number, (steps, due) in enumerate(TESTS, start=1):
        web.start(**web.filled(steps=steps))
        wait_for(lambda number=number: web.live()["run"] == number, "the run is announced")
        wait_for(web.is_sending, "requests")
        under_way = web.live()
        wait_for(web.is_closed, "closed")
        live, (run, *_) = web.all_live(), web.listed()
        report = web.http.get(f"{web.url}/scalelag/runs/{number}/report.json", timeout=10).json()
        page = web.http.get(f"{web.url}/scalelag/runs/{number}/report.html", timeout=10).text

        assert (under_way["run"], under_way["state"]) == (number, "running")
        # A request that is due at a full second may be counted in the one before.
        offered = [row[2] for row in live["load"] if row[0] < len(due)]
        assert offered == pytest.approx(due, abs=1)
        assert sum(offered) == sum(row[3] for row in live["load"]) == sum(due)
        assert live["counts"] == {
            "requests": sum(due),
            "failed": 0,
            "workers": 1,
            "lost": 0,
        }
        assert live["probe"]["polls"] > 0
        assert (run["number"], run["plan"], run["state"]) == (number, steps, "closed")
        assert run["files"] == ["report.json", "report.html"]
        assert (report["run"]["status"], report["load"]["sent"]) == ("complete", sum(due))
        assert report["verdict"].upper() in page

    assert [one["plan"]["text"] for one in web.runs()] == [steps for steps, _ in TESTS]
    assert [len(one["load_workers"]) for one in web.runs()] == [1, 1]


@pytest.mark.long
def test_a_test_that_starts_by_itself_waits_for_its_worker_and_is_shown(tmp_path):
    alone = ("--autostart", "--expect-workers", "1", "--steps", "20rps:2s")
    with master_and_worker(tmp_path, *alone) as web:
        wait_for(lambda: web.live()["state"] == "closed", "closed")

        live, (run,) = web.all_live(), web.listed()
    assert (run["plan"], run["status"]) == ("20rps:2s", "complete")
    assert sum(row[2] for row in live["load"]) == 40
