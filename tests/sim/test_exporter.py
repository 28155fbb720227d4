"""A run that is scraped while it goes on: `--prometheus-port`."""

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.locust_run import assert_ran, started
from tests.support.ports import free_port
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import DeploymentScript, ReplicaScript, Script
from tests.support.waiting import wait_for

WHERE = {"application": "team/chat", "deployment": "LLM/v1"}
KEY = "team/chat/LLM/v1"


class Scraped:
    """Values of one answer, by metric and labels."""

    def __init__(self, text: str) -> None:
        self.families = {one.name: one for one in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float | None:
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None


def named(deployment):
    """A cluster whose names have slashes in them."""
    return Script(applications={"team/chat": {"LLM/v1": deployment}})


def grown_at(at_s):
    """A second replica, wanted from that moment of the stand-in on, is soon there."""
    replicas = (steady_replica(), ReplicaScript("b", at_s + 0.6, at_s + 0.8, at_s + 1.0))
    deployment = DeploymentScript(targets=((-60.0, 1), (at_s + 0.5, 2)), replicas=replicas)
    return named(deployment)


def scrape(port):
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert answer.headers["Content-Type"].startswith("text/plain")
    return Scraped(answer.text)


def test_no_web_page_reads_what_is_served_to_this_machine_alone(echo, tmp_path):
    port = free_port()
    plan = ["--steps", "5rps:5s", "--prometheus-port", str(port)]
    names = {"SCALELAG_PAGE_NAMES": "load.example"}

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", headers=named, timeout=10)
        return answer.status_code

    with running_standin(one_deployment(steady_replica())) as standin:
        where = ["--host", echo.url, "--dashboard", standin.url]
        with started(tmp_path, *where, *plan, environment=names):
            wait_for(
                lambda: status() == 200,
                "the port",
                forgiven=requests.ConnectionError,
            )
            answered = [status(Host="localhost:1"), status(Host="load.example")]
            refused = [status(Host="evil.example"), status(Origin="http://evil.example")]

    assert answered == [200, 200]
    assert refused == [403, 403]


def test_load_replicas_and_lag_are_scraped_in_mid_run(echo, tmp_path):
    port = free_port()
    single = DeploymentScript(targets=((-60.0, 1),), replicas=(steady_replica(),))
    with running_standin(named(single)) as standin:
        target = ["--host", echo.url, "--dashboard", standin.url]
        plan = ["--steps", "10rps:2s,20rps:10s", "--prometheus-port", str(port)]
        with started(tmp_path, *target, *plan) as locust:
            wait_for(
                lambda: (scrape(port).value("scalelag_elapsed_seconds") or 0) > 2.0,
                "the second stage",
                forgiven=requests.ConnectionError,
            )
            standin.control(script=grown_at(standin.now_s()))
            lag = wait_for(
                lambda: scrape(port).value("scalelag_step_lag_seconds", step="1", **WHERE),
                "the lag of a step",
            )
            seen = scrape(port)
            run = locust.wait()

    assert_ran(run)
    sent = seen.value("scalelag_requests_total", status="200")
    assert 0 < sent < run.load["completed"] == 220
    assert seen.value("scalelag_request_latency_seconds_count") >= sent
    assert seen.value("scalelag_request_latency_seconds_bucket", le="+Inf") >= sent
    assert seen.value("scalelag_requests_failed_total") == 0
    assert seen.value("scalelag_planned_load", unit="rps") == 20
    assert seen.value("scalelag_replicas", state="RUNNING", **WHERE) == 2
    assert seen.value("scalelag_replicas", state="STARTING", **WHERE) == 0
    assert seen.value("scalelag_target_replicas", **WHERE) == 2
    assert seen.value("scalelag_load_processes") == 1
    assert {"counter", "gauge", "histogram"} == {one.type for one in seen.families.values()}
    step = run.report["deployments"][KEY]["steps"][1]
    assert step["total_s"]["lo"] - 0.01 <= lag <= step["total_s"]["hi"] + 0.01


def test_a_port_that_is_taken_is_said_and_nothing_begins(target, echo, tmp_path):
    taken = echo.url.rpartition(":")[2]

    with started(tmp_path, *target, "--prometheus-port", taken) as locust:
        code = locust.process.wait(60)

    assert code == 2
    said = (tmp_path / "stderr").read_text()
    assert f"--prometheus-port 127.0.0.1:{taken}: another program has this port" in said
    assert locust.path is None
