"""Warnings about deployments that were unwell, whatever the steps did."""

import json

from reports.render.csv_steps import render_csv
from reports.render.junit import render_junit
from reports.render.markdown import render_markdown
from reports.render.perf_metrics import render_perf_metrics
from scalelag.record.evidence_rows import LogEvent
from tests.unit.changed_runs import KEY, THREE, UP, ZERO_S, Shown, report_of, step

SICK = ("UNHEALTHY", "HEALTH_CHECK_FAILED")
# All three replicas are gone at 70 s, in the last step, and one of them is started anew.
LOST = UP | {70.0: Shown(1, {"d": "STARTING"}, *SICK)}


def given_up(replica: str, at_s: float, words: str) -> LogEvent:
    return LogEvent("unhealthy_stopped", ZERO_S + at_s, 0.001, "n", words, KEY, replica)


def health(report):
    words = ("RUNNING", "died", "it was", "failed its")
    return [w.removeprefix(f"{KEY}: ") for w in report.warnings if any(one in w for one in words)]


def test_a_deployment_that_ends_unwell_is_told():
    crash = given_up("a", 69.8, "Actor for Replica(id='a') crashed, marking it unhealthy")
    stop = given_up("a", 69.8, "Replica Replica(id='a') failed health check, stopping it.")

    report = report_of(LOST, events=(crash, stop))

    assert health(report) == [
        "replica a died: noticed at 69.8 s",
        "it was UNHEALTHY (HEALTH_CHECK_FAILED) from 70.0 s to the end of watching",
        "0 RUNNING (1 STARTING) when watching ended, target 1",
    ]
    assert step(report, 2).settled_s.value is None


def test_every_format_tells_of_it():
    report = report_of(LOST)

    assert b"UNHEALTHY" in render_markdown(report, "runs/changed")
    assert b"UNHEALTHY" in render_junit(report)
    assert any("UNHEALTHY" in text for text in json.loads(render_perf_metrics(report))["warnings"])
    assert b"0 RUNNING at the end of the hold, target 1" in render_csv(report)


def test_a_time_in_which_it_was_unwell_is_told_with_its_end():
    failed = given_up("a", 40.1, "Replica Replica(id='a') failed health check, stopping it.")
    two = {"b": "RUNNING", "c": "RUNNING", "d": "STARTING"}
    report = report_of(UP | {40.0: Shown(3, two, *SICK), 44.0: THREE}, events=(failed,))

    assert health(report) == [
        "replica a failed its health checks: noticed at 40.1 s",
        "it was UNHEALTHY (HEALTH_CHECK_FAILED) from 40.0 s to 44.0 s",
    ]


def test_a_failed_deployment_is_told():
    failed = Shown(3, {"a": "RUNNING"}, "DEPLOY_FAILED", "REPLICA_STARTUP_FAILED")
    report = report_of({-2.0: THREE, 50.0: failed})

    assert health(report) == [
        "it was DEPLOY_FAILED (REPLICA_STARTUP_FAILED) from 50.0 s to the end of watching",
        "1 RUNNING when watching ended, target 3",
    ]


def test_a_deployment_that_is_well_is_not_spoken_of():
    assert health(report_of(UP)) == []
