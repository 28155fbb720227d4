"""`scalelag run --web` on a real Ray Serve cluster, watched in a real Chromium."""

import os
import re
import signal
import subprocess
import sys

import pytest
import requests
from playwright.sync_api import Error, expect

from tests.browser.our_tabs import complaints, report, start
from tests.support.locust_page import ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_for

pytestmark = pytest.mark.live

RUNNING = """() => {
    const plot = document.querySelector('.scalelag .plot');
    const trace = (plot?.data ?? []).find(one => one.name === 'RUNNING');
    return trace ? Math.max(...trace.y) : 0;
}"""


@pytest.fixture
def web(tmp_path):
    """URL of Locust's page of a `scalelag run --web` on a cluster of its own, and its runs."""
    command = [sys.executable, "-m", "scalelag.cli", "run", "--web", "--app", "sleeper"]
    output, url = tmp_path / "output", f"http://127.0.0.1:{(port := free_port())}"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--drain", "40", "--web-port", str(port)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(
            lambda: process.poll() is not None or requests.get(url, timeout=5).ok,
            f"a web interface: {output}",
            120,
            forgiven=requests.ConnectionError,
        )
        assert process.poll() is None, output.read_text()
        yield url, tmp_path / "runs"
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def running(page):
    """Most replicas RUNNING so far; 0 while the page goes from the form to the run."""
    try:
        return page.evaluate(RUNNING)
    except Error:
        return 0


@pytest.mark.long
def test_from_the_plan_over_new_replicas_to_the_report_and_once_more(web, online):
    url, runs = web
    found = online(url)
    page = found.page
    start(page, steps="5rps:3s,40rps:120s")
    wait_for(lambda: running(page) == 1, "one replica RUNNING")
    wait_for(lambda: running(page) > 1, "more replicas RUNNING after the step", 60)
    expect(page.locator(".lags")).to_contain_text("1 up")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("scalelag-replicas h2")).to_contain_text("watching the scale-down")
    expect(page.locator("scalelag-replicas h2")).to_contain_text("closed", timeout=90_000)
    page.get_by_role("tab", name="Lag report").click()
    expect(report(page).locator("body")).to_contain_text("interrupted: stopped before the plan")
    expect(report(page).locator("body")).to_contain_text("Scale up: from the load step")

    page.get_by_role("button", name="New").click()
    page.get_by_text("More options").click()
    start(page, steps="2rps:3s", drain="0")
    page.get_by_role("tab", name="Lag report").click()
    expect(page.locator("scalelag-report .runs tbody tr")).to_have_count(2, timeout=30_000)
    expect(report(page).locator("h1")).to_contain_text(re.compile("PASS|INVALID"), timeout=60_000)

    assert len(list(runs.glob("*/report.html"))) == 2
    assert complaints(found) == []
