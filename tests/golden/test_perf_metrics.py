"""perf-metrics, read back as Ray's release tooling reads it."""

import json
import shutil
from pathlib import Path

import pytest

from reports.model.formats import Format
from reports.render.perf_metrics import render_perf_metrics
from scalelag.cli.signatures import report
from scalelag.errors import UsageError
from scalelag.options.release_output import release_output
from scalelag.options.run_options import run_options
from scalelag.plugin.leader.reporter import Reporter
from tests.support.stored_runs import RUNS, analysed

STORED = Path(__file__).parent / "stored" / "demo"


def values(text: str | bytes) -> dict[str, float]:
    """The figures by name, as `compare_perf_metrics` of Ray's repository takes them."""
    return {
        one["perf_metric_name"]: one["perf_metric_value"]
        for one in json.loads(text)["perf_metrics"]
    }


@pytest.mark.parametrize("name", ["busy", "calm", "interrupted", "traced", *RUNS])
def test_every_figure_has_a_name_of_its_own_a_number_and_a_known_type(sample, name):
    content = json.loads(
        render_perf_metrics((analysed if name in RUNS else sample)(name).report),
        parse_constant=pytest.fail,
    )

    metrics = content["perf_metrics"]
    assert len({one["perf_metric_name"] for one in metrics}) == len(metrics)
    for one in metrics:
        assert set(one) == {"perf_metric_name", "perf_metric_value", "perf_metric_type"}
        assert isinstance(one["perf_metric_value"], int | float)
        assert one["perf_metric_value"] > 0  # the tooling divides by it
        assert one["perf_metric_type"] in ("THROUGHPUT", "LATENCY")


def test_figures_are_those_of_the_report_under_the_names_of_rays_own_tests():
    shown = analysed("demo").report
    load = shown.load

    content = render_perf_metrics(shown)
    found = values(content)

    assert json.loads(content)["total_requests"] == load.planned
    assert json.loads(content)["censored_steps"] == 0
    assert json.loads(content)["success"] == "0"  # one of the run's gates fails
    assert found["p50_latency"] == load.latency_p50_ms
    assert found["p99_latency"] == load.latency_p99_ms
    assert found["avg_rps"] == load.completed_rps
    assert [found[f"stage_{i + 1}_rps"] for i in range(3)] == [s.completed_rps for s in load.steps]
    assert found["stage_2_p95_latency"] == load.steps[1].latency_p95_ms
    (key,) = shown.deployments
    total = shown.deployments[key].scale_up.total_s
    assert found[f"{key}:scale_up.total_s.max"] == total.max.value


def test_rates_of_the_load_are_those_of_its_steps_together():
    load = analysed("demo").report.load

    seconds = sum(step.hold_s for step in load.steps)

    assert load.completed_rps == pytest.approx(load.completed / seconds)
    assert load.offered_rps == pytest.approx(load.planned / seconds)


def test_the_report_goes_where_rays_tooling_wants_it(tmp_path, monkeypatch, capsys):
    wanted = tmp_path / "release_test_out.json"
    monkeypatch.setenv("TEST_OUTPUT_JSON", str(wanted))

    report(STORED, output_format=Format.PERF_METRICS)

    assert capsys.readouterr().out == f"{wanted}\n"
    assert "avg_rps" in values(wanted.read_bytes())


def test_a_run_leaves_it_in_its_directory_and_where_rays_tooling_wants_it(tmp_path):
    run = Path(shutil.copytree(STORED, tmp_path / "run"))
    wanted = tmp_path / "release_test_out.json"

    reporter = Reporter({"TEST_OUTPUT_JSON": str(wanted)})
    reporter.report(run_options({"report": ["perf-metrics"]}), run, html=False)

    assert wanted.read_bytes() == (run / "perf-metrics.json").read_bytes()
    assert "avg_rps" in values(wanted.read_bytes())


def test_without_such_a_place_it_goes_to_the_terminal(monkeypatch, capsys):
    monkeypatch.delenv("TEST_OUTPUT_JSON", raising=False)

    report(STORED, output_format=Format.PERF_METRICS)

    assert "avg_rps" in values(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("nowhere/out.json", "the folder .*nowhere does not exist"),
        (".", "it is a folder"),
        ("/proc/out.json", "(?!the folder)"),
    ],
)
def test_a_place_that_takes_no_file_is_refused_only_if_it_is_needed(tmp_path, place, wrong):
    environ = {"TEST_OUTPUT_JSON": str(tmp_path / place)}

    with pytest.raises(UsageError, match=f"TEST_OUTPUT_JSON: Cannot write .*: {wrong}"):
        release_output([Format.PERF_METRICS], environ)

    assert release_output([Format.JUNIT], environ) is None
    assert release_output([Format.PERF_METRICS], {}) is None
