"""Locust's page against other web pages, other names, and visitors who send what no form shows."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from scalelag.options.catalog import OPTIONS
from tests.support.hostile import HARM, obeyed
from tests.support.locust_page import ROOT, LocustPage, page_on_standin, running_page
from tests.support.servers.http_echo import running_echo
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import Script
from tests.support.waiting import wait_for

ADDRESSES = str(ROOT / "tests" / "sim" / "addresses_locustfile.py")
OPEN_WITHOUT_LOGIN = ("/login", "/enter", "/assets/", "/static/")
FORMULAS = f"""
from locust import events
from locustfiles.stepped import *

@events.init.add_listener
def on_init(environment, runner, **_rest):
    formula = "=cmd|'/c calc'!A1" + {HARM!r}
    environment.stats.log_request("@cmd|", formula, 1, 1)
    environment.stats.log_error("GET", formula, formula)
    runner.log_exception("local", formula, "")
"""
TALK = """
import logging
import traceback
from locust import events
from locustfiles.stepped import *

NAME = "/ask?n=1&api_key=canary-1"
URL = "http://me:canary-2@other:80/x?token=canary-3&n=2"

@events.init.add_listener
def on_init(environment, runner, **_rest):
    environment.stats.log_request("GET", NAME, 1, 1)
    environment.stats.log_error("GET", NAME, "401 Client Error for url: " + URL)
    try:
        raise KeyError("no way to " + URL)
    except KeyError as error:
        runner.log_exception("local", str(error), traceback.format_exc())
        logging.getLogger("locust.user").exception("task failed")
"""
TOKEN, HEADER_SECRET = "canary-token-81f2", "canary-header-5d0c"


def addresses(folder: Path) -> Iterator[tuple[str, str]]:
    """Method and path of every address of the page in `folder`, with parameters filled in."""
    for rule, methods in json.loads((folder / "addresses.json").read_text())["rules"]:
        path = rule.replace("<int:number>", "1").replace("<name>", "report.json")
        for method in methods:
            yield method, re.sub(r"<[^>]*>", "x", path)


def statuses(web: LocustPage, folder: Path, **headers: str) -> dict[str, int]:
    """Status of each address for requests with these headers that would change nothing."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        f"{method} {path}": web.http.request(
            method,
            web.url + path,
            headers=named,
            data={"steps": "no plan"},
            timeout=10,
            allow_redirects=False,
        ).status_code
        for method, path in addresses(folder)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def web(folder) -> Iterator[LocustPage]:
    with page_on_standin(folder, locustfile=ADDRESSES) as opened:
        yield opened


@pytest.fixture(scope="module")
def talking(tmp_path_factory) -> Iterator[LocustPage]:
    """A page whose locustfile puts secrets of URLs into all that Locust shows."""
    folder = tmp_path_factory.mktemp("talking")
    file = folder / "talk.py"
    file.write_text(TALK)
    with page_on_standin(folder, locustfile=str(file)) as opened:
        yield opened


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8089"},
        {"Host": "[evil"},
    ],
)
def test_no_address_answers_another_web_page_or_another_name(web, folder, headers):
    found = statuses(web, folder, **headers)

    assert len(found) > 20
    assert set(found.values()) == {403}


def test_no_other_page_may_read_or_frame_an_answer_or_take_it_for_a_script(web, folder):
    for method, path in addresses(folder):
        if method == "GET":
            answer = web.http.get(f"{web.url}{path}", timeout=10)
            there = {name.lower() for name in answer.headers}
            assert not any(name.startswith("access-control") for name in there), path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_its_own_requests_and_addresses_that_were_typed_are_answered(web, site):
    for path in ("/", "/scalelag/", "/scalelag/live", "/stats/requests"):
        answer = web.http.get(web.url + path, headers={"Sec-Fetch-Site": site}, timeout=10)
        assert answer.status_code == 200


def test_a_link_from_elsewhere_opens_the_page_and_stops_nothing(web):
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }

    assert web.http.get(f"{web.url}/", headers=link, timeout=10).status_code == 200
    for path in ("/stop", "/stats/reset"):
        assert web.http.get(web.url + path, headers=link, timeout=10).status_code == 403


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:9", "a.localhost", "[::1]:8089", "10.1.2.3"]
)
def test_it_answers_to_localhost_and_addresses(web, name):
    assert web.http.get(f"{web.url}/", headers={"Host": name}, timeout=10).status_code == 200


def test_no_form_sets_an_option_that_the_page_does_not_show(web, folder):
    known = json.loads((folder / "addresses.json").read_text())["options"]
    shown = web.form().keys() | {"user_count", "spawn_rate", "run_time", "profile", "host"}
    target = folder / "written-by-the-page"
    fields = {option.dest for option in OPTIONS if option.in_web}  # checked by themselves
    hidden = [name for name in known if name not in shown | fields | {"user_classes"}]

    answers = {name: web.swarm(**{name: str(target)}) for name in hidden}

    assert {"html_file", "json_file", "csv_prefix", "header", "locustfile"} <= set(hidden)
    assert [name for name, one in answers.items() if one["success"]] == []
    for name, answer in answers.items():
        assert "is not a field of this form" in answer["message"], name
    assert not target.exists()


def test_another_name_is_answered_where_it_was_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SCALELAG_PAGE_NAMES", "load.example, other.example")
    with page_on_standin(tmp_path) as web:
        asked = {
            name: web.http.get(f"{web.url}/", headers={"Host": name}, timeout=10).status_code
            for name in ("load.example:8089", "other.example", "evil.example")
        }
    assert asked == {"load.example:8089": 200, "other.example": 200, "evil.example": 403}


def test_every_address_is_behind_the_login(tmp_path):
    with page_on_standin(tmp_path, "--web-login", locustfile=ADDRESSES) as web:
        found = statuses(web, tmp_path)
        strange = statuses(web, tmp_path, Origin="http://evil.example")

    behind = {
        address: status
        for address, status in found.items()
        if not address.split()[1].startswith(OPEN_WITHOUT_LOGIN)
    }
    assert len(behind) > 20
    assert set(behind.values()) == {302}
    assert set(strange.values()) == {403}


def test_a_password_of_a_url_is_not_in_the_source_of_the_page(tmp_path):
    url = "http://me:canary-url-44a1@127.0.0.1:1"
    request = ["--path", "/ask?key=canary-1&n=1", "--json-body", '{"token": "canary-2"}']
    where = ["--host", url, "--dashboard", url]
    with running_page(tmp_path, *where, *request, locustfile=ADDRESSES) as web:
        source = web.http.get(web.url + "/", timeout=10).text
        form = web.form()
        answers = {
            path: web.http.get(web.url + path, timeout=30)
            for method, path in (*addresses(tmp_path), ("GET", "/stats/report?download=1"))
            if method == "GET"
        }
        refused = web.swarm(steps="no plan")

    assert "127.0.0.1:1" in source
    assert "canary" not in source + str(form)
    told = {path: f"{answer.headers}{answer.text}" for path, answer in answers.items()}
    assert [path for path, text in told.items() if "canary" in text] == []
    assert (refused["success"], refused["host"]) == (False, "http://127.0.0.1:1")
    assert form["path"]["value"] == "/ask?key=(not recorded)&n=1"


def test_no_cell_of_a_csv_file_of_locust_is_a_formula(tmp_path):
    file = tmp_path / "formulas.py"
    file.write_text(FORMULAS)
    with page_on_standin(tmp_path, locustfile=str(file)) as web:
        kinds = ("stats/requests", "stats/failures", "exceptions")
        files = [web.http.get(f"{web.url}/{kind}/csv", timeout=10).text for kind in kinds]

    cells = [cell for text in files for row in csv.reader(io.StringIO(text)) for cell in row]
    assert sum("cmd|" in cell for cell in cells) == 6
    assert [cell for cell in cells if cell.startswith(("=", "@"))] == []
    assert [line for text in files for line in text.splitlines() if obeyed(line)] == []


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        (
            "stats/requests",
            ("/ask?n=1&api_key=(not recorded)", "other:80/x?token=(not recorded)&n=2"),
        ),
        ("stats/requests/csv", ("/ask?n=1&api_key=(not recorded)",)),
        ("stats/failures/csv", ("other:80/x?token=(not recorded)&n=2",)),
        ("stats/report", ("other:80/x?token=(not recorded)\\u0026n=2", "window.templateArgs = {")),
        ("exceptions", ("KeyError: 'no way to http://other:80/x?token=(not recorded)&n=2",)),
        ("exceptions/csv", ("KeyError: 'no way to http://other:80/x?token=(not recorded)&n=2",)),
        ("logs", ("KeyError: 'no way to http://other:80/x?token=(not recorded)&n=2",)),
    ],
)
def test_no_answer_of_locust_tells_the_secrets_in_names_errors_and_logs(talking, path, holds):
    answer = talking.http.get(f"{talking.url}/{path}", timeout=20)

    assert answer.status_code == 200
    assert "canary" not in answer.text
    assert [text for text in holds if text not in answer.text] == []


@pytest.mark.parametrize("field", ["steps", "unknown"])
def test_a_form_that_is_too_large_to_read_is_refused_at_once(web, field):
    answer = web.http.post(f"{web.url}/swarm", data={field: "x" * 2_000_000}, timeout=60)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "settings",
    [
        {},
        [],
        {"user_class_name": "os"},
        {"user_class_name": "SteppedUser", "weight": "x"},
        {"user_class_name": "SteppedUser", "weight": None},
        {"user_class_name": "SteppedUser", "fixed_count": 10**9},
        {"user_class_name": "SteppedUser", "tasks": 1},
        {"user_class_name": "SteppedUser", "wait_time": 1},
    ],
)
def test_settings_of_a_user_class_that_no_page_sends_are_refused(web, settings):
    answer = web.http.post(f"{web.url}/user", json=settings, timeout=10)

    assert answer.status_code == 400


@pytest.fixture
def secretive(tmp_path, monkeypatch):
    """A page whose cluster wants a token, and whose names and texts mean harm."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("LOAD_SECRET", HEADER_SECRET)
    plain = one_deployment(steady_replica())
    model = plain.applications["default"]["Model"]
    script: Script = msgspec.structs.replace(
        plain, token=TOKEN, applications={f"app{HARM}": {f"Model{HARM}": model}}
    )
    secrets = [
        "--header",
        "X-Api-Key: ${LOAD_SECRET}",
        "--dashboard-header",
        "X-Gate: ${LOAD_SECRET}",
    ]
    with page_on_standin(tmp_path, *secrets, script=script, locustfile=ADDRESSES) as web:
        yield web


def test_secrets_stay_with_their_host_and_stand_in_no_answer_file_or_process_list(
    secretive, tmp_path
):
    web = secretive
    with running_echo() as other:
        refused = web.swarm(steps="20rps:1s", host=other.url)
        assert (refused["success"], refused["field"]) == (False, "host")
        assert "no other host" in refused["message"]
    assert web.form()["host"]["kind"] == "choice"
    web.start(steps="20rps:1s")
    processes = psutil.Process(web.process.pid).children(recursive=True)
    arguments = [one.cmdline() for one in (psutil.Process(web.process.pid), *processes)]
    wait_for(web.is_closed, "closed", 60)

    answers = {
        path: web.http.get(web.url + path, timeout=30).content
        for method, path in addresses(tmp_path)
        if method == "GET"
    }
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for secret in (TOKEN, HEADER_SECRET):
        assert [name for name, data in (answers | files).items() if secret.encode() in data] == []
        assert secret not in str(arguments)
    assert [line for line in web.output.splitlines() if obeyed(line)] == []
    assert b"<img src=x" not in answers["/"]
