"""Data of our pages on Locust's web page: live, after the run, and from several workers."""

import io
import zipfile

import msgspec
import pytest

from tests.support.locust_page import ROOT, page_on_standin, running_page
from tests.support.ports import free_port
from tests.support.servers.http_echo import running_echo
from tests.support.standin.scenarios import random_script, steady_replica
from tests.support.standin.script import DeploymentScript, Fault, ReplicaScript, Script
from tests.support.waiting import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def web(tmp_path):
    with page_on_standin(tmp_path) as opened:
        yield opened


def scripted(targets, *replicas):
    deployment = DeploymentScript(
        targets=targets, replicas=replicas, autoscaling={"min_replicas": 1, "max_replicas": 3}
    )
    return Script(applications={"default": {"Model": deployment}})


def test_before_a_test_there_is_no_run(web):
    assert web.live()["state"] == "none"
    assert web.listed() == []


def test_a_page_is_told_what_is_new_and_after_a_reload_or_a_reset_everything(web):
    web.start(steps="20rps:3s")
    wait_for(web.is_sending, "requests")
    # Of Locust's own statistics; ours stay.
    assert web.http.post(f"{web.url}/stats/reset", timeout=10).ok
    first = web.live()
    seen = (first["run"], first["epoch"], first["number"])
    wait_for(web.is_closed, "closed")

    new, whole = web.live(*seen), web.all_live()

    assert (new["whole"], "stages" in new, new["replicas"]) == (False, False, [])
    assert sum(row[2] for row in whole["load"]) == 60
    assert whole["replicas"] == [[0, whole["replicas"][0][1], 0, 1, 0, 1]]
    assert whole["steps"] == [[0, 0.0, 0.0, 20.0], [1, 3.0, 20.0, 0.0]]
    assert whole["counts"] == {"requests": 60, "failed": 0, "workers": 1, "lost": 0}


def test_live_lags_are_those_of_the_report(tmp_path):
    # The script begins before the page does. Its steps fall into the holds if the load begins 1 to 8 s
    # after it.
    script = random_script(5, deployments=2, duration_s=25, step_up_s=9, step_down_s=18)
    with page_on_standin(tmp_path, "--drain", "5", script=script) as web:
        web.start(steps="5rps:1s,30rps:9s,5rps:7s")
        wait_for(web.is_closed, "closed", 60)
        live = web.all_live()
        report = web.http.get(f"{web.url}/scalelag/runs/1/report.json", timeout=10).json()

    measured = {
        (key, step["index"]): step["total_s"]
        for key, deployment in report["deployments"].items()
        for step in deployment["steps"]
        if step["total_s"] and step["total_s"]["hi"] is not None
    }
    assert measured
    shown = {
        (live["deployments"][lag["deployment"]][0], lag["step"]): (lag["loS"], lag["hiS"])
        for lag in live["lags"]
        if lag["valueS"] is not None
    }
    assert shown.keys() == measured.keys()
    for place, total in measured.items():
        assert shown[place] == pytest.approx((total["lo"], total["hi"]), abs=0.011)


@pytest.mark.long
def test_watching_goes_on_after_stop_until_the_scale_down_is_over(tmp_path):
    grown = [ReplicaScript(f"r{n}", -60.0, -59.0, -58.0, 10.0, 10.5) for n in "ab"]
    script = scripted(((-60.0, 3), (10.0, 1)), steady_replica(), *grown)
    with page_on_standin(tmp_path, "--drain", "60", script=script) as web:
        web.start(steps="20rps:60s")
        wait_for(web.is_sending, "load under way")
        web.stop()
        state = web.live()["state"]
        wait_for(lambda: len(web.runs()) == 1, "closed", 60)

        run = web.runs()[0]
        last = web.all_live()["replicas"][-1]
    assert state == "watching"
    assert run["status"] == "interrupted"
    assert run["watched_until_s"] - run["load_ended_s"] > 1.0
    assert last[2:] == [0, 1, 0, 1]


@pytest.mark.long
def test_a_new_test_ends_the_watch_of_the_one_before(tmp_path):
    script = scripted(
        ((-60.0, 2),), steady_replica("a"), steady_replica("b")
    )  # never at its minimum
    with page_on_standin(tmp_path, "--drain", "120", script=script) as web:
        web.start(steps="20rps:1s")
        wait_for(lambda: web.live()["state"] == "watching", "watching")
        web.start(steps="10rps:60s")
        wait_for(lambda: web.live()["run"] == 2, "second run")
        refused = web.swarm(steps="10rps:1s")
        web.stop()
        wait_for(lambda: web.live()["state"] == "watching", "watching")
        web.start(steps="30rps:1s")
        wait_for(lambda: web.live()["run"] == 3, "third run")

        runs = web.runs()
    assert [(run["plan"]["text"], run["status"]) for run in runs] == [
        ("20rps:1s", "complete"),
        ("10rps:60s", "interrupted"),
    ]
    assert refused["message"] == "A test is running or starting: stop it first."


@pytest.mark.long
def test_a_dashboard_that_goes_away_meanwhile_is_told_and_its_gap_kept(tmp_path):
    script = scripted(((-60.0, 1),), steady_replica())
    script = msgspec.structs.replace(script, faults=(Fault("http_status", 9.0, 2.0),))
    with page_on_standin(tmp_path, script=script) as web:
        web.start(steps="20rps:60s")
        blind = wait_for(lambda: web.live().get("probe", {}).get("blind"), "the probe is blind")
        wait_for(lambda: web.live()["gaps"], "the gap is over")

        gaps = web.live()["gaps"]
    assert "503" in blind
    assert 1.0 < gaps[0][1] - gaps[0][0] < 6.0


@pytest.mark.long
def test_a_target_that_is_down_is_said_in_the_form(tmp_path):
    with running_echo() as echo:
        nowhere = f"http://127.0.0.1:{free_port()}"
        with running_page(
            tmp_path, "--host", echo.url, "--dashboard", nowhere, "--wait", "0"
        ) as web:
            answer = web.swarm(steps="20rps:2s")
            live = web.live()

    assert answer["success"] is False
    assert nowhere in answer["message"]
    assert answer["field"] == "dashboard"
    assert live["message"] == answer["message"]


@pytest.mark.long
def test_while_the_target_does_not_answer_pages_are_told_for_what_a_start_waits(tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}"
    where = ["--dashboard", nowhere, "--wait", "5", "--autostart", "--steps", "20rps:2s"]
    with running_echo() as echo, running_page(tmp_path, "--host", echo.url, *where) as web:
        waiting = wait_for(lambda: web.live()["state"] == "waiting" and web.live(), "waiting")
        wait_for(lambda: web.live()["state"] == "none", "refused")

        refused = web.live()["message"]
    assert waiting["message"] == (
        f"Waiting for {echo.url} and the dashboard {nowhere} to answer, for at most 5 s."
    )
    assert nowhere in refused
    assert "--" not in refused


def test_deployments_and_gates_come_from_the_form(web):
    web.start(
        steps="20rps:1s",
        deployments=" default/Model ",
        gates="requests.error_ratio <= 0.5; requests.latency_p99_ms <= 5000;",
        repeat="2",
    )
    wait_for(web.is_closed, "closed")
    unknown = web.swarm(steps="20rps:1s", deployments="default/Modell")
    number = web.swarm(steps="20rps:1s", deployments="", repeat="twice")

    run = web.runs()[0]
    assert run["options"]["gate"] == [
        "requests.error_ratio <= 0.5",
        "requests.latency_p99_ms <= 5000",
    ]
    assert (run["options"]["deployment"], run["plan"]["repeat"]) == (["default/Model"], 2)
    assert "default/Modell" in unknown["message"]
    assert unknown["field"] == "deployments"
    assert (number["field"], number["message"]) == ("repeat", '"twice" is not a whole number.')


@pytest.mark.long
def test_the_form_has_our_options_typed_with_what_was_asked_for_last_and_no_secrets(web):
    web.start(steps="7rps:1s", gates="requests.error_ratio <= 0.5")
    wait_for(web.is_closed, "closed")

    options = web.form()
    assert list(options)[:3] == ["steps", "host", "dashboard"]
    assert options["steps"]["value"] == "7rps:1s"
    assert options["gates"]["value"] == "requests.error_ratio <= 0.5"
    assert options["repeat"]["kind"] == "number"
    assert options["arrivals"]["choices"] == ["constant", "poisson"]
    assert options["strict"]["value"] is False
    assert "header" not in options
    assert all(option["help"] and option["kind"] != "secret" for option in options.values())


def test_report_and_record_of_each_run_can_be_downloaded(web):
    for steps in ("20rps:1s", "30rps:1s"):
        web.start(steps=steps)
        wait_for(web.is_closed, "closed")

    listed, folders = web.listed(), web.run_dirs
    assert [(run["number"], run["plan"]) for run in listed] == [(2, "30rps:1s"), (1, "20rps:1s")]
    for number, folder in enumerate(folders, start=1):
        base = f"{web.url}/scalelag/runs/{number}"
        for name in ("report.json", "report.html"):
            answer = web.http.get(f"{base}/{name}", timeout=10)
            assert answer.content == (folder / name).read_bytes()
            assert f"{folder.name}-{name}" in answer.headers["Content-Disposition"]
        record = web.http.get(f"{base}/record.zip", timeout=10).content
        archive = zipfile.ZipFile(io.BytesIO(record))
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            f"{folder.name}/{path.name}": path.read_bytes()
            for path in folder.iterdir()
            if path.name != "report.html"
        }
        shown = web.http.get(f"{base}/report.html?show", timeout=10)
        assert shown.headers["Content-Security-Policy"].startswith("sandbox allow-scripts ")
        assert (
            "Content-Disposition" not in shown.headers
            or "inline" in (shown.headers["Content-Disposition"])
        )


@pytest.mark.long
def test_nothing_but_the_reports_can_be_had(web):
    web.start(steps="20rps:1s")
    wait_for(web.is_closed, "closed")

    names = ("run.json", "..%2Frun.json", "%2e%2e%2f%2e%2e%2foutput")
    others = ("runs/2/report.json", "runs/0/report.html", "static/page.html")
    for path in (*(f"runs/1/{name}" for name in names), *others):
        assert web.http.get(f"{web.url}/scalelag/{path}", timeout=10).status_code == 404


@pytest.mark.long
def test_it_works_under_a_base_path_and_over_tls(tmp_path, certificate):
    cert, key = map(str, certificate)
    tls = ["--tls-cert", cert, "--tls-key", key, "--web-base-path", "/lab"]
    with page_on_standin(tmp_path, *tls, scheme="https", base="/lab") as web:
        web.start(steps="20rps:1s")
        wait_for(web.is_closed, "closed")
        page = web.http.get(f"{web.url}/", timeout=10).text
        alone = web.http.get(f"{web.url}/scalelag/", timeout=10)
        plotly = web.http.get(f"{web.url}/scalelag/plotly.js", timeout=10)

    assert './scalelag/static/elements.js"' in page
    assert "default-src 'none'" in alone.headers["Content-Security-Policy"]
    assert "scalelag-replicas" in alone.text
    assert plotly.headers["Content-Type"].startswith("application/javascript")


def test_everything_of_ours_is_behind_the_login(tmp_path):
    login = str(ROOT / "tests" / "sim" / "login_locustfile.py")
    with page_on_standin(tmp_path, "--web-login", locustfile=login) as web:
        paths = ("", "static/elements.js", "plotly.js", "form", "live", "runs")
        for path in (*paths, "runs/1/report.json", "runs/1/record.zip"):
            answer = web.http.get(f"{web.url}/scalelag/{path}", timeout=10, allow_redirects=False)
            assert (answer.status_code, answer.headers["Location"][:6]) == (302, "/login")
        form = {"steps": "20rpm:1s"}
        swarm = web.http.post(f"{web.url}/swarm", data=form, timeout=10, allow_redirects=False)
        assert swarm.status_code == 302
        web.http.post(f"{web.url}/enter", data={"name": "somebody"}, timeout=10)
        web.start(steps="20rps:1s")
        wait_for(web.is_closed, "closed")

        assert len(web.listed()) == 1


@pytest.mark.long
def test_with_processes_the_page_shows_the_load_of_all(tmp_path):
    port = str(free_port())
    ports = ["--master-bind-port", port, "--master-port", port]
    with page_on_standin(tmp_path, "--processes", "2", *ports) as web:
        wait_for(lambda: "2 workers connected" in web.output, "the workers")
        web.start(steps="20rps:2s")
        wait_for(web.is_closed, "closed", 60)

        whole = web.all_live()
    assert sum(row[2] for row in whole["load"]) == 40
    assert whole["counts"]["workers"] == 2


@pytest.mark.long
def test_a_test_that_started_by_itself_is_shown(tmp_path):
    with page_on_standin(tmp_path, "--autostart", "--steps", "20rps:2s") as web:
        wait_for(web.is_closed, "closed")

        assert [run["plan"] for run in web.listed()] == ["20rps:2s"]


@pytest.mark.long
def test_a_fault_in_the_picture_costs_no_measurement(tmp_path):
    locustfile = str(ROOT / "tests" / "sim" / "broken_feed_locustfile.py")
    with page_on_standin(tmp_path, locustfile=locustfile) as web:
        web.start(steps="20rps:3s")
        told = wait_for(lambda: web.live().get("message"), "the fault is told")
        wait_for(web.is_closed, "closed")

        page, output = web.live(), web.output
        report = web.http.get(f"{web.url}/scalelag/runs/1/report.json", timeout=10).json()
    assert "The measurement goes on" in told
    assert (page["message"], page["replicas"]) == (told, [])
    assert "RuntimeError: a fault of the picture" in output
    assert output.count("Traceback") == 1
    assert report["load"]["planned"] == report["load"]["sent"] == 60
    assert (report["run"]["status"], report["probe"]["gaps"]) == ("complete", 0)
    assert report["probe"]["polls"] >= 10


@pytest.mark.long
def test_without_a_place_for_tabs_a_warning_names_the_page_that_is_left(tmp_path):
    locustfile = str(ROOT / "tests" / "sim" / "no_tabs_locustfile.py")
    with page_on_standin(tmp_path, locustfile=locustfile) as web:
        assert web.swarm(steps="20rps:1s")["success"]
        wait_for(web.is_closed, "closed")
        alone = web.http.get(f"{web.url}/scalelag/", timeout=10)

        assert "its script knows no extendedTabs" in web.output
        assert f"{web.url}/scalelag/" in web.output
        assert "elements.js" not in web.http.get(web.url, timeout=10).text
    assert "scalelag-replicas" in alone.text
