"""An application of three deployments: each by itself, held against the replicas' own counts."""

import json

import pytest

from scalelag.record.run_dir import load_run
from tests.live.conftest import commands, valid_run

STEPS = "5rps:12s,30rps:25s,5rps:12s"
TARGETS = {"Ingress": None, "Fast": 2.0, "Slow": 3.0}


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
