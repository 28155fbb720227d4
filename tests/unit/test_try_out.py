"""Commands that try the advice of a report by simulation."""

import shlex

import msgspec
import pytest

from reports.analysis.diagnosis.replica_rules import shorter_delay
from reports.analysis.lag.policy import policy_of
from reports.analysis.lint.config import lint_config
from reports.model.try_out import on_run, whatif_command
from reports.render.markdown import render_markdown
from reports.render.tables.try_out import tries
from reports.whatif.settings import parse_assignment
from scalelag.record.run_info import DeploymentInfo
from tests.support.built import samples
from tests.support.built.step_facts import SETTINGS, facts

KEY = "default/Model"
CALM = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 2.0,
    "metrics_interval_s": 1.0,
    "look_back_period_s": 2.0,
    "upscale_delay_s": 5.0,
    "downscale_delay_s": 5.0,
}


def command_of(rule: str, config=None, **settings: float) -> str | None:
    info = DeploymentInfo(CALM | settings, config or {})
    return next(one.command for one in lint_config({KEY: info}) if one.rule == rule)


def test_a_command_names_the_deployment_and_is_read_by_whatif():
    command = whatif_command(KEY, {"upscale_delay_s": 1.0, "look_back_period_s": 0.5})

    assert command == (
        "scalelag whatif RUN --set default/Model:upscale_delay_s=1 "
        "--set default/Model:look_back_period_s=0.5"
    )
    words = shlex.split(command)
    assert parse_assignment(words[4]).deployment == KEY


def test_nothing_to_change_is_no_command():
    assert whatif_command(KEY, {}) is None


def test_the_run_directory_takes_its_place_quoted():
    command = whatif_command("my app/Model", {"max_replicas": 3}) or ""

    assert shlex.split(on_run(command, "runs/a b")) == [
        "scalelag",
        "whatif",
        "runs/a b",
        "--set",
        "my app/Model:max_replicas=3",
    ]


@pytest.mark.parametrize(
    ("rule", "settings", "changed"),
    [
        (
            "push-slower-than-delay",
            {"metrics_interval_s": 10, "look_back_period_s": 30},
            "metrics_interval_s=5",
        ),
        (
            "look-back-within-push",
            {"metrics_interval_s": 4, "look_back_period_s": 4},
            "metrics_interval_s=2",
        ),
        ("delay-within-look-back", {"look_back_period_s": 20}, "look_back_period_s=5"),
        ("gain-swings", {"downscaling_factor": 2.0}, "downscaling_factor=1"),
    ],
)
def test_a_lint_finding_carries_the_command_of_its_advice(rule, settings, changed):
    assert command_of(rule, **settings) == f"scalelag whatif RUN --set {KEY}:{changed}"


def test_a_target_above_the_room_asks_for_room():
    config = {"max_ongoing_requests": 5}

    command = command_of("target-above-max-ongoing", config, target_ongoing_requests=10.0)

    assert command == f"scalelag whatif RUN --set {KEY}:max_ongoing_requests=12"


def test_what_a_simulation_does_not_know_has_no_command():
    assert command_of("zero-delay-without-zero", downscale_to_zero_delay_s=3.0) is None


def test_of_two_that_scale_none_can_be_simulated():
    swinging = DeploymentInfo(CALM | {"downscaling_factor": 2.0})

    found = lint_config({"a/A": swinging, "a/B": swinging})

    assert [one.command for one in found] == [None, None]


def test_the_configured_delay_is_lowered_to_the_look_back_and_then_halved():
    def shorter(**settings: float):
        info = DeploymentInfo(SETTINGS | settings)
        return shorter_delay(facts(deployment=info, policy=policy_of(info)))

    assert shorter(upscale_delay_s=30.0, look_back_period_s=4.0) == {"upscale_delay_s": 4.0}
    assert shorter(upscale_delay_s=3.0, look_back_period_s=4.0) == {"upscale_delay_s": 1.5}
    assert shorter(upscale_delay_s=0.0, look_back_period_s=4.0) == {}


def test_the_same_command_stands_once_with_all_that_it_is_for():
    report = msgspec.structs.replace(samples.calm().report, lint=())
    lint = lint_config({KEY: DeploymentInfo(CALM | {"downscaling_factor": 2.0})})
    twice = msgspec.structs.replace(report, lint=(*lint, *lint))

    assert tries(twice, "runs/x") == [
        ("gain-swings", f"scalelag whatif runs/x --set {KEY}:downscaling_factor=1")
    ]
    markdown = render_markdown(twice, "runs/x").decode()
    assert markdown.count("scalelag whatif runs/x") == 1
    assert "### Try it by simulation" in markdown
    assert "Try it by simulation" not in render_markdown(report, "runs/x").decode()


def test_of_many_that_a_command_is_for_the_first_are_named():
    report = msgspec.structs.replace(samples.calm().report, lint=())
    (one,) = lint_config({KEY: DeploymentInfo(CALM | {"downscaling_factor": 2.0})})
    many = tuple(msgspec.structs.replace(one, rule=f"rule-{number}") for number in range(150))

    ((named, _),) = tries(msgspec.structs.replace(report, lint=many), "runs/x")

    assert named == "rule-0, rule-1, rule-2, rule-3 and 146 more"
