"""Requests of HTTP users, as the other side saw them, and their record."""

import json
from collections import Counter

import pytest

from tests.support.locust_run import RUN_DEADLINE_S, assert_ran, sent_to, started
from tests.support.standin.process import ROOT


@pytest.mark.parametrize("processes", [pytest.param("1", marks=pytest.mark.long), "2"])
def test_rows_and_models_go_round_over_all_processes(target, echo, tmp_path, processes):
    (tmp_path / "rows.csv").write_text('id,text\n1,a b\n2,"say ""hi"""\n3,ö\n')
    options = ["--steps", "40rps:3s", "--data", str(tmp_path / "rows.csv"), "--method", "POST"]
    options += ["--path", "/{{ id }}", "--json-body", '{"text": {{ text | tojson }}}']
    options += ["--models", "small,large", "--processes", processes]

    with started(tmp_path, *target, *options) as locust:
        run = locust.wait()

    assert_ran(run)
    arrivals = echo.arrivals()
    # Three rows and two models: six kinds of requests, as often each.
    kinds = Counter(
        (a.path, json.loads(a.body)["text"], a.headers["serve_multiplexed_model_id"])
        for a in arrivals
    )
    texts = {"/1": "a b", "/2": 'say "hi"', "/3": "ö"}
    assert kinds == {(p, t, m): 20 for p, t in texts.items() for m in ("small", "large")}
    assert {a.headers["Content-Type"] for a in arrivals} == {"application/json"}
    assert {name: part["sent"] for name, part in run.load["names"].items()} == {
        "/{{ id }} small": 60,
        "/{{ id }} large": 60,
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--json-body", '{"a": {{ b }}}'], "--json-body: this is not JSON"),
        (["--data", "rows.csv", "--path", "/{{ no }}"], "--data has no such column: it has id"),
        (["--data", "nowhere.csv"], "--data nowhere.csv: No such file"),
    ],
)
def test_a_request_that_cannot_be_made_is_refused(target, echo, tmp_path, options, said):
    (tmp_path / "rows.csv").write_text("id\n1\n")

    with started(tmp_path, *target, *options) as locust:
        code = locust.process.wait(RUN_DEADLINE_S)

    assert code == 2
    assert said in " ".join((tmp_path / "stderr").read_text().split())
    assert echo.arrivals() == []


MANY = """
from scalelag.users import HttpPlanUser

PATHS = ["/status/307", "/status/201", "/hello"]


class Many(HttpPlanUser):
    def __init__(self, environment):
        super().__init__(environment)
        self.requests = [self.server.request("GET", path, {}, None) for path in PATHS]

    def send(self):
        number = self.worker.next_number()
        if number % 5 < 3:
            self.send_request(self.requests[number % 5])
        elif number % 5 == 3:
            raise KeyError("label")
"""


def test_an_arrival_always_has_a_row(target, echo, tmp_path):
    (tmp_path / "many.py").write_text(MANY)
    options = ["--steps", "50rps:2s", "--expect", "ok"]

    files = f"{ROOT / 'locustfiles' / 'attached.py'},{tmp_path / 'many.py'}"

    with started(tmp_path, *target, *options, locustfile=files) as locust:
        run = locust.wait()

    assert len(echo.arrivals()) == 60
    assert run.recorded.requests.count == run.load["planned"] == 100
    assert run.load["errors"] == {
        "HTTP 307": 20,
        "KeyError: 'label'": 20,
        "no request": 20,
        "wrong answer: without the expected text": 20,
    }
    assert run.load["completed"] == len(sent_to(echo, "/hello")) == 20
