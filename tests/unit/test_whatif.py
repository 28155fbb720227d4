"""`scalelag whatif` on a stored run: its proof, its answer, and what bad input gets."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from reports.analysis.analyse import analyse
from reports.model.formats import ComparisonFormat
from reports.model.whatif import STEP_FIGURES, WhatIfReport
from reports.render.html.shell import script
from reports.render.html.whatif_page import render_html_whatif
from reports.render.terminal.whatif import (
    print_whatif,
    render_json_whatif,
    render_markdown_whatif,
    whatif_schema,
)
from reports.whatif.from_record import (
    recorded_scenario,
    watched_as_long,
    watched_of,
    with_settings,
)
from reports.whatif.outcome import replica_hours
from reports.whatif.settings import parse_assignment
from scalelag.cli.main import app
from scalelag.cli.whatif import WhatIfOptions, ask, prepare, whatif
from scalelag.cli.whatif_load import OtherLoad
from scalelag.errors import UsageError
from scalelag.record.run_dir import RecordedRun, load_run
from tests.golden.expected_files import checked
from tests.support.hostile import elements, hostile, leads_away, obeyed, printed, without_isolates

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


@pytest.fixture(scope="module")
def demo() -> RecordedRun:
    return load_run(DEMO)


@pytest.fixture(scope="module")
def later(demo: RecordedRun) -> WhatIfReport:
    """The demo with a delay of 5 s in place of 2 s."""
    return ask(demo, WhatIfOptions(("upscale_delay_s=5",)))


def middle(report: WhatIfReport, step: int, name: Any, source: str) -> float:
    figure = report.steps[step].figures[name]
    found = figure.recorded if source == "recorded" else getattr(figure, source).span
    assert found is not None
    assert found.value is not None
    return found.value


def test_the_runs_own_settings_reproduce_it(later: WhatIfReport):
    assert later.validation.passed
    assert later.validation.area_ratio < 0.15
    for step in (1, 2):
        recorded = middle(later, step, "total_s", "recorded")
        assert middle(later, step, "total_s", "simulated") == pytest.approx(recorded, abs=1.0)


def test_a_longer_delay_makes_the_step_up_later_by_that_much(later: WhatIfReport):
    before = middle(later, 1, "decide_s", "simulated")

    # The first decision may wait for one more push of 1 s.
    assert middle(later, 1, "decide_s", "whatif") - before == pytest.approx(3.0, abs=1.0)
    assert middle(later, 1, "total_s", "whatif") > middle(later, 1, "total_s", "simulated") + 2
    assert [(one.setting, one.before, one.after) for one in later.changes] == [
        ("upscale_delay_s", 2.0, 5)
    ]


def test_every_estimate_comes_from_twenty_repetitions_within_its_quantiles(later: WhatIfReport):
    for step in later.steps:
        assert set(step.figures) == set(STEP_FIGURES)
        for figure in step.figures.values():
            assert figure.whatif is not None
            assert figure.whatif.repetitions == 20
            span = figure.whatif.span
            if span is not None and span.value is not None:
                assert span.lo <= span.value <= span.upper


def test_another_load_has_no_recorded_figures(demo: RecordedRun):
    load = OtherLoad(steps="5rps:10s,60rps:30s")

    found = ask(demo, WhatIfOptions(("max_replicas=8",), load=load))

    assert [(one.from_level, one.to_level) for one in found.steps] == [(0, 5), (5, 60), (60, 0)]
    assert found.notes[-1].startswith("Replica-hours are over the plan and 60 s after it")
    assert all(one.figures["total_s"].recorded is None for one in found.steps)
    # 60 rps of 0.208 s keep 12.5 open, at a target of 2 each; what had piled up may ask for one more.
    assert max(found.whatif.target.replicas if found.whatif else (0,)) in (7, 8)


def test_a_policy_of_ones_own_decides_and_its_state_is_shown(
    demo: RecordedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "always_three.py").write_text(
        "def decide(ctx):\n    return 3, {'turns': ctx.policy_state.get('turns', 0) + 1}\n"
    )
    monkeypatch.chdir(tmp_path)

    found = ask(demo, WhatIfOptions(policy="always_three:decide"))

    assert found.whatif is not None
    assert set(found.whatif.target.replicas) == {1, 3}
    assert "turns" in (found.policy_state or "")


def test_settings_that_do_not_reproduce_the_run_give_no_answer(demo: RecordedRun):
    # The record says that its autoscaler waited for 10 s, and it waited for 2.
    own = demo.info.target.deployments[KEY].autoscaling or {}
    run = with_deployment(demo, autoscaling={**own, "upscale_delay_s": 10.0})

    found = ask(run, WhatIfOptions(("upscale_delay_s=5",)))

    assert not found.validation.passed
    assert any("total_s" in reason for reason in found.validation.reasons)
    assert found.whatif is None
    assert all(figure.whatif is None for step in found.steps for figure in step.figures.values())


def test_every_format_has_the_answer(later: WhatIfReport):
    page = render_html_whatif(later, script("")).decode()
    markdown = render_markdown_whatif(later).decode()
    read = msgspec.json.decode(render_json_whatif(later), type=WhatIfReport)

    assert read == later
    for text in (page, markdown):
        assert "what if" in text
        assert "The whole run" in text
    assert markdown.count("Simulated figures: the median of") == 1
    assert "upscale_delay_s 2" in page


def test_no_format_has_anything_of_a_foreign_text_but_itself(later: WhatIfReport):
    answer = hostile(later)
    page = render_html_whatif(answer, script(""))
    shown = printed(lambda console: print_whatif(console, answer), 100)

    assert elements(page) == elements(render_html_whatif(later, script("")))
    assert leads_away(page) == []
    for text in (page, render_markdown_whatif(answer), render_json_whatif(answer), shown.encode()):
        assert obeyed(without_isolates(text)) == []


def test_the_published_schema_is_current_and_kept(later: WhatIfReport):
    checked(DEMO.parents[3] / "docs" / "whatif.schema.json", whatif_schema())

    validator = Draft202012Validator(msgspec.json.decode(whatif_schema()))

    assert list(validator.iter_errors(msgspec.json.decode(render_json_whatif(later)))) == []


def test_the_command_writes_the_same_answer_for_the_same_seed(tmp_path: Path, later: WhatIfReport):
    output = tmp_path / "answer.json"
    options = WhatIfOptions(("upscale_delay_s=5",))

    code = whatif(DEMO, options, ComparisonFormat.JSON, output)

    assert code == 0
    assert msgspec.json.decode(output.read_bytes(), type=WhatIfReport) == later


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("upscale_dlay_s=5", "near it: upscale_delay_s"),
        ("upscale_delay_s", "it reads"),
        ("=5", "it reads"),
        ("Sleeper:upscale_delay_s=5", "it reads"),
        ("default/Other:upscale_delay_s=5", "the run watched default/Sleeper; near it"),
        ("min_replicas=9", r"max_replicas \(4\) must be greater than or equal to min_replicas"),
        ("upscale_delay_s=-1", "upscale_delay_s: Input should be greater than or equal to 0"),
        ("target_ongoing_requests=many", "target_ongoing_requests: Input should be a valid number"),
        ("aggregation_function=median", "aggregation_function"),
        ("max_ongoing_requests=0", "max_ongoing_requests"),
        ("policy=x", "policy is no setting that can be simulated"),
        ("upscale_delay_s=true", "upscale_delay_s: Input should be a valid number"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(demo: RecordedRun, assignment: str, said: str):
    with pytest.raises(UsageError, match=said):
        ask(demo, WhatIfOptions((assignment,)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (WhatIfOptions(load=OtherLoad(steps="5users:10s")), "in users, and the run was in rps"),
        (WhatIfOptions(load=OtherLoad(steps="5rps")), "Stage 1"),
        (WhatIfOptions(load=OtherLoad(steps="5rps:9s", trace=DEMO)), "give one of the two"),
        (WhatIfOptions(load=OtherLoad(steps="5rps:settle<=60s")), "how long such a stage takes"),
        (WhatIfOptions(load=OtherLoad(arrivals="poisson")), "goes with --steps or --trace"),
        (WhatIfOptions(load=OtherLoad(steps="5users:9s", arrivals="poisson")), "plan is in users"),
        (WhatIfOptions(of_application=True), "goes with --policy"),
        (WhatIfOptions(policy="nothing"), "module:function"),
        (WhatIfOptions(slo="fast"), "QUANTILE<LIMIT"),
    ],
)
def test_options_that_make_no_sense_are_named(demo: RecordedRun, options: WhatIfOptions, said: str):
    with pytest.raises(UsageError, match=said):
        ask(demo, options)


def test_from_no_replica_the_cold_start_is_predicted(demo: RecordedRun):
    found = ask(demo, WhatIfOptions(("min_replicas=0",)))

    assert found.whatif is not None
    assert found.whatif.running.replicas[0] == found.whatif.target.replicas[0] == 0
    first = found.steps[0].figures
    assert first["decide_s"].whatif is not None
    assert first["total_s"].whatif is not None
    total = first["total_s"].whatif.span
    assert total is not None
    # Ray starts the first replica as soon as a request waits: what is left is its start-up.
    assert total.lo > 0.5
    # Requests that came before it wait for it; in the run itself a replica was there.
    assert middle(found, 0, "p95_ms", "whatif") > 1000
    assert middle(found, 0, "p95_ms", "simulated") < 500


@pytest.mark.parametrize(
    ("recorded", "begun", "changes", "replicas"),
    [
        ({}, 1, {"min_replicas": 0}, 0),
        ({}, 1, {"min_replicas": 2}, 2),
        ({}, 1, {"initial_replicas": 3}, 3),
        ({}, 1, {"upscale_delay_s": 5.0}, 1),
        ({"initial_replicas": 3}, 3, {"min_replicas": 0}, 3),
        ({"initial_replicas": 3}, 3, {"initial_replicas": 2}, 2),
        ({"initial_replicas": 3}, 1, {"min_replicas": 0}, 0),
        ({}, 2, {"min_replicas": 0}, 2),
        ({}, 3, {"max_replicas": 2}, 2),
    ],
)
def test_a_simulation_begins_as_the_run_did_under_other_settings(
    demo: RecordedRun,
    recorded: dict[str, Any],
    begun: int,
    changes: dict[str, Any],
    replicas: int,
):
    own = {**(demo.info.target.deployments[KEY].autoscaling or {}), **recorded}
    run = with_deployment(demo, autoscaling=own)
    scenario = msgspec.structs.replace(recorded_scenario(run, KEY).scenario, target=begun)
    info = msgspec.structs.replace(scenario.settings.info, autoscaling={**own, **changes})

    found = with_settings(scenario, info, None)

    assert (found.replicas, found.target) == (replicas, replicas)


def with_deployment(run: RecordedRun, **changes: Any) -> RecordedRun:
    described = msgspec.structs.replace(run.info.target.deployments[KEY], **changes)
    return with_target(run, deployments={KEY: described})


def with_target(run: RecordedRun, **changes: Any) -> RecordedRun:
    target = msgspec.structs.replace(run.info.target, **changes)
    return msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, target=target))


def test_a_record_that_lacks_a_part_says_which(demo: RecordedRun):
    own = demo.info.target.deployments[KEY]
    twins = with_target(
        demo, deployments={KEY: own, "default/Twin": own}, watched=(KEY, "default/Twin")
    )
    policy = {**(own.autoscaling or {}), "policy": {"policy_function": "mine:decide"}}
    cases = [
        (with_deployment(demo, autoscaling=None), "its number of replicas is fixed"),
        (with_deployment(demo, external_scaler=True), "external scaler"),
        (with_deployment(demo, autoscaling=policy), "Give it with --policy mine:decide"),
        (
            with_deployment(demo, app_policy="mine:for_all"),
            "Give it with --policy mine:for_all --policy-of-application",
        ),
        (twins, "default/Twin scale with default/Sleeper"),
        (msgspec.structs.replace(demo, polls=()), "no poll with a target"),
        (msgspec.structs.replace(demo, transitions=(), events=()), "saw no replica start"),
    ]

    for run, said in cases:
        with pytest.raises(UsageError, match=said):
            recorded_scenario(run, KEY)


def test_an_advice_carries_a_command_only_where_its_record_can_be_simulated(demo: RecordedRun):
    def commands(run: RecordedRun) -> list[str]:
        report = analyse(run).report
        steps = [step for one in report.deployments.values() for step in one.steps]
        found = [finding.command for step in steps for finding in step.findings]
        return [one for one in (*found, *(one.command for one in report.lint)) if one]

    few = msgspec.structs.replace(
        demo, requests=demo.requests.chosen(np.arange(demo.requests.error.size) < 40)
    )
    no_starts = msgspec.structs.replace(demo, transitions=())
    for run in (few, no_starts):
        with pytest.raises(UsageError):
            recorded_scenario(run, KEY)

    assert commands(demo)
    assert commands(few) == commands(no_starts) == []


@pytest.mark.parametrize("file", ["nowhere/answer.json", "."])
def test_a_file_that_cannot_be_written_is_told_before_the_simulation(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("scalelag.cli.whatif.load_run", lambda path: pytest.fail(str(path)))

    with pytest.raises(UsageError, match="--output: Cannot write"):
        whatif(DEMO, WhatIfOptions(), ComparisonFormat.JSON, tmp_path / file)


def test_replica_hours_of_a_run_that_was_watched_for_less_are_over_as_long_a_time(
    demo: RecordedRun,
):
    half = msgspec.structs.replace(demo, polls=demo.polls[: len(demo.polls) // 2])
    watched, whole = watched_of(half, KEY), watched_of(demo, KEY)
    assert watched is not None
    assert whole is not None

    same = watched_as_long(watched, half.info.zero_s, demo, KEY)

    assert watched.until_s < same.until_s
    assert same.until_s == pytest.approx(whole.until_s, rel=0, abs=1e-3)
    hours = replica_hours(same.running, half.info.zero_s, same.until_s)
    kept_s = whole.until_s - watched.until_s
    before = replica_hours(watched.running, half.info.zero_s, watched.until_s)
    at_end = int(watched.running.values[-1])
    assert hours == pytest.approx(before + at_end * kept_s / 3600)


def test_an_assignment_may_name_its_deployment():
    found = parse_assignment("app/D:initial_replicas=none")

    assert (found.deployment, found.name, found.value) == ("app/D", "initial_replicas", None)


def test_a_limit_that_is_given_judges_the_record_as_well(demo: RecordedRun):
    """The run settles at a p95 of 218 ms: with 200 ms it never recovered, with 1 s at once."""
    kept, missed = (prepare(demo, (), WhatIfOptions(slo=slo)) for slo in ("p95<1s", "p95<200ms"))

    first, second = kept.own.figures[1]["recovered_s"], missed.own.figures[1]["recovered_s"]
    assert first is None or first.hi is not None
    assert second is not None
    assert second.hi is None
    assert demo.info.options.get("slo") != "p95<200ms"


def test_what_is_given_twice_is_refused(demo: RecordedRun, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(UsageError, match="upscale_delay_s is given twice"):
        ask(demo, WhatIfOptions(("upscale_delay_s=5", "upscale_delay_s=9")))
    for command in ("whatif", "tune"):
        with pytest.raises(SystemExit) as ended:
            app([command, str(DEMO), "--slo", "p95<1s", "--slo", "p95<3s"])
        assert ended.value.code == 2
        assert "--slo p95<1s is given, too" in capsys.readouterr().err
