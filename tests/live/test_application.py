"""An application of three deployments: each by itself, held against the replicas' own counts."""

import json
import math
import re
from statistics import median

import pytest

from scalelag.record.run_dir import load_run
from tests.live.conftest import commands, valid_run

pytestmark = pytest.mark.long

STEPS = "5rps:12s,30rps:25s,5rps:12s"
TARGETS = {"Ingress": None, "Fast": 2.0, "Slow": 3.0}
MOST = {"Fast": 2, "Slow": 4}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Report and record of a run on a fixed front before two that scale, and the replicas' notes."""
    truth = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    with commands(tmp_path_factory.mktemp("application")) as start:
        command, code, output = valid_run(
            start,
            *("run", "--app", "pipeline", "--app-arg", "ingress.num_replicas=1"),
            *("--app-arg", f"truth_file={truth}", "--steps", STEPS, "--drain", "20"),
            # A slow agent stretches the interval of the gauges; here it is to be short all the same.
            *("--gate", "none", "--observer-budget", "25%", "--out", "runs"),
        )
        assert code in (0, 5), output
        rows = [json.loads(line) for line in truth.read_text().splitlines()]
        yield command.report(), load_run(command.run_dirs[-1]), rows, output


def counted(rows, name, from_s, to_s):
    """Mean number of requests in the code of a deployment's replicas, by their own notes."""
    changes = [
        (row["at_s"], 1 if row["event"] == "request_begun" else -1)
        for row in rows
        if row["deployment"] == name and row["event"] in ("request_begun", "request_ended")
    ]
    inside = [(min(max(at_s, from_s), to_s), by) for at_s, by in changes]
    return sum(by * (to_s - at_s) for at_s, by in inside) / (to_s - from_s)


def settled(run):
    """The last ten seconds of the second hold, in Unix seconds."""
    return run.info.zero_s + 27, run.info.zero_s + 37


def within_settled(report, name):
    """Points of a deployment's gauges in that time."""
    points = report["deployments"][f"default/{name}"]["seen"]["ongoing"]
    return [point for point in points if 27 <= point["at_s"] <= 37]


def open_at(told, name):
    """Least and most that can be open at a deployment then: in its code, and at the client.

    Serve counts a request from when a router sends it until its answer is there. On a busy machine that
    is much longer than the code of the replica takes, but never longer than the client waits.
    """
    report, run, rows, _ = told
    at_client = [p["client"] for p in within_settled(report, "Ingress") if p["client"] is not None]
    return 0.65 * counted(rows, name, *settled(run)) - 1, 1.35 * median(at_client) + 1


def step_up(deployment):
    """The step to 30 rps."""
    return deployment["steps"][1]


def test_the_gauges_show_what_the_replicas_counted(told):
    report, _, _, output = told

    for name in TARGETS:
        seen = report["deployments"][f"default/{name}"]["seen"]
        assert seen["source"] == "ports", (seen["reason"], output)
        shown = [p["running"] for p in within_settled(report, name) if p["running"] is not None]
        assert len(shown) >= 2, seen
        least, most = open_at(told, name)
        assert least <= median(shown) <= most, name


def test_each_deployment_that_scales_has_the_demand_of_its_own_requests(told):
    report = told[0]

    for name, at_most in MOST.items():
        deployment = report["deployments"][f"default/{name}"]
        assert deployment["requests_from"] == "seen"
        elasticity = deployment["elasticity"]
        assert (elasticity["demand"], elasticity["demand_reason"]) == ("policy", None)
        response = step_up(deployment)["response"]
        wanted = [min(at_most, math.ceil(max(n, 1) / TARGETS[name])) for n in open_at(told, name)]
        assert wanted[0] <= response["demand_after"] <= wanted[1]


def test_each_has_the_floor_of_its_own_settings(told):
    """`Fast` waits for 2 s before it scales up, `Slow` for 3 s; both know how their requests rose."""
    report, _, _, output = told

    for name, delay_s in (("Fast", 2.0), ("Slow", 3.0)):
        up = step_up(report["deployments"][f"default/{name}"])
        assert up["floor"] is not None, (up["reason"], up["floor_reason"], output)
        assert up["floor"]["delay_s"] == delay_s
        assert 0 < up["floor"]["detect_s"] <= 2.0


def test_the_front_is_fixed_and_says_so_and_hides_nobody(told):
    report, _, _, output = told

    front = report["deployments"]["default/Ingress"]
    assert front["autoscaling"] is None
    assert "fixed" in front["elasticity"]["demand_reason"]
    assert front["seen"]["ongoing"]
    # On a busy machine one of them may be marked as the limit.
    assert re.search(r"Ingress \(1 fixed, 200 slots.* -> .*Fast \(1-2.*, .*Slow \(1-4", output)


def test_who_calls_whom_is_on_record(told):
    _, run, _, _ = told

    app = run.info.target.applications["default"]
    assert app.ingress == "default/Ingress"
    assert set(app.calls["default/Ingress"]) == {"default/Fast", "default/Slow"}
    assert app.route_prefix == "/"


def test_the_replicas_count_the_requests_that_they_answered(told):
    report, run, rows, _ = told

    load_s = (run.info.zero_s, run.info.zero_s + run.info.plan.duration_s + 30)
    for name in TARGETS:
        noted = sum(
            row["deployment"] == name
            and row["event"] == "request_ended"
            and load_s[0] <= row["at_s"] <= load_s[1]
            for row in rows
        )
        served = report["deployments"][f"default/{name}"]["seen"]["served"]
        assert served == pytest.approx(noted, rel=0.1, abs=10)
