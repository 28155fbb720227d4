"""A real model behind a front that was the limit: its autoscaler counted nothing, and swung.

Recorded with an older version: what stands before the model is not in the record.
"""

import msgspec

from reports.analysis.analyse import analyse
from reports.analysis.diagnosis.replayed import TargetChange
from reports.model.elasticity import FlappingReport
from reports.render.tables.elasticity import trouble_texts
from tests.support.stored_runs import analysed, recorded

KEY = "magic/FileType"
NAME = "front-and-model"


def test_the_autoscaler_is_found_to_be_blind_in_both_steps():
    steps = analysed(NAME).report.deployments[KEY].steps

    assert [step.cause for step in steps[1:3]] == ["state_sync", "state_sync"]
    assert {finding.named for step in steps for finding in step.findings} == {"a blind autoscaler"}


def test_its_evidence_is_what_serve_logged_against_what_was_open():
    step = analysed(NAME).report.deployments[KEY].steps[1]

    # The log has "from 4 to 1 replicas. Current ongoing requests: 0.00" at 39.0 and 59.7 s.
    assert [round(evidence.at_s, 1) for evidence in step.evidence] == [39.0, 59.7]
    assert step.evidence[0].text.startswith(
        "the autoscaler counted 0 open requests and went from 4"
    )
    assert "Current ongoing requests: 0.00" in step.evidence[0].raw


def test_nobody_is_told_to_raise_max_replicas_to_what_was_open():
    report = analysed(NAME).report
    findings = [f for one in report.deployments[KEY].steps for f in one.findings]
    findings += [finding for failure in report.failures for finding in failure.findings]
    said = msgspec.json.encode(findings).decode()

    assert "996" not in said
    assert "Raise max_replicas" not in said


def test_all_failed_requests_have_that_cause():
    failures = analysed(NAME).report.failures

    assert sum(failure.count for failure in failures) == 980
    assert {failure.cause for failure in failures} == {"state_sync"}


def test_the_swing_is_no_second_cause():
    steps = analysed(NAME).report.deployments[KEY].steps

    assert max(step.reversals for step in steps) == 3
    assert "oscillation" not in {f.cause for step in steps for f in step.findings}


def test_the_replay_of_rays_policy_is_evidence():
    run = recorded(NAME)
    # As replayed by Ray 2.60: from 1 to 4 at 23 s, and back at 118 s.
    phase = (
        TargetChange(run.info.zero_s + 23.0, 1, 4),
        TargetChange(run.info.zero_s + 118.0, 4, 1),
    )

    step = analyse(run, replay=lambda *_: (phase,)).report.deployments[KEY].steps[1]

    assert "replayed on the requests that were open, had 4 replicas then" in step.evidence[1].text


def test_turns_of_the_target_count_for_gates():
    deployment = analysed(NAME).report.deployments[KEY]

    assert deployment.target_reversals == sum(step.reversals for step in deployment.steps) > 0


def test_a_target_that_turned_where_no_running_replica_did_is_said():
    flapping = FlappingReport(direction_reversals=13, running_reversals=0)
    deployment = msgspec.structs.replace(analysed(NAME).report.deployments[KEY], flapping=flapping)

    (said, *_) = trouble_texts(deployment)

    assert said == (
        "flapping: 13 reversals of the target within load steps, none of RUNNING replicas"
    )
