"""Each rule on a configuration: it fires with the numbers, and not at its boundary."""

import re
from pathlib import Path

import pytest

from reports.analysis.lint.config import lint_config
from scalelag.record.run_info import DeploymentInfo

KEY = "default/Model"

# As `num_replicas: auto` of Ray 2.60 is deployed, read from its REST API.
RAY_DEFAULTS = {
    "min_replicas": 1,
    "initial_replicas": None,
    "max_replicas": 100,
    "target_ongoing_requests": 2.0,
    "metrics_interval_s": 10.0,
    "look_back_period_s": 30.0,
    "smoothing_factor": 1.0,
    "upscale_smoothing_factor": None,
    "downscale_smoothing_factor": None,
    "upscaling_factor": None,
    "downscaling_factor": None,
    "downscale_delay_s": 600.0,
    "downscale_to_zero_delay_s": None,
    "upscale_delay_s": 30.0,
    "aggregation_function": "mean",
    "policy": {
        "policy_function": "ray.serve.autoscaling_policy:default_autoscaling_policy",
        "policy_kwargs": {},
    },
}
OWN_POLICY = {"policy_function": "mine:policy", "policy_kwargs": {}}


def found(max_ongoing_requests: float | None = 5, **changed: object) -> dict[str, str]:
    """Texts by rule, for Ray's defaults with `changed`."""
    config = {} if max_ongoing_requests is None else {"max_ongoing_requests": max_ongoing_requests}
    info = DeploymentInfo(autoscaling=RAY_DEFAULTS | changed, config=config)
    findings = lint_config({KEY: info})
    assert {finding.deployment for finding in findings} <= {KEY}
    return {finding.rule: finding.text for finding in findings}


def test_the_defaults_of_ray_break_no_rule():
    assert found() == {}


def test_an_old_ray_that_tells_little_breaks_no_rule():
    assert lint_config({KEY: DeploymentInfo(autoscaling={"max_replicas": 4})}) == ()


def test_a_fixed_number_of_replicas_breaks_no_rule():
    assert lint_config({KEY: DeploymentInfo(config={"max_ongoing_requests": 1})}) == ()


def test_findings_come_by_deployment():
    bad = DeploymentInfo(autoscaling=RAY_DEFAULTS | {"upscale_delay_s": 5})

    findings = lint_config({"b/Model": bad, "a/Model": bad})

    assert [f.deployment for f in findings] == ["a/Model", "a/Model", "b/Model", "b/Model"]
    assert findings[0].line == f"a/Model: {findings[0].text}"


# --- gain-swings -------------------------------------------------------------------------------


def test_a_way_down_that_ends_below_what_is_wanted_is_found():
    text = found(downscaling_factor=2)["gain-swings"]

    # ceil(3 + 2 (2.01 - 3)) is 2, which is less than 2.01.
    assert text.startswith(
        "downscaling_factor 2 goes below what is wanted: where just over 2 replicas"
    )
    assert "it leaves 2 of 3" in text
    assert text.endswith("Set downscaling_factor to 1 or less.")


@pytest.mark.parametrize(("factor", "left"), [(1.05, 2), (2.5, 1), (9, 1)])
def test_it_says_how_many_are_left(factor, left):
    assert f"it leaves {left} of 3" in found(downscaling_factor=factor)["gain-swings"]


@pytest.mark.parametrize(("up", "down", "target"), [(2, 1, 2), (1, 1, 0.1), (3.9, 0.5, 2)])
def test_factors_without_a_swing_are_not_found(up, down, target):
    settings = {"upscaling_factor": up, "downscaling_factor": down}

    assert "gain-swings" not in found(**settings, target_ongoing_requests=target)


def test_a_factor_by_which_one_request_moves_two_replicas_is_found():
    text = found(upscaling_factor=1.5, target_ongoing_requests=0.5)["gain-swings"]

    assert "one open request more moves 3 replicas" in text
    assert text.endswith("Set upscaling_factor to 1.")


def test_both_factors_that_make_the_target_swing_are_named():
    text = found(upscaling_factor=3, downscaling_factor=1.5, target_ongoing_requests=1)[
        "gain-swings"
    ]

    assert "Set downscaling_factor to 1 or less. upscaling_factor 3 at" in text
    assert text.endswith("Set upscaling_factor to 1.")


def test_where_there_is_no_room_to_move_a_gain_does_no_harm():
    assert "gain-swings" not in found(upscaling_factor=5, max_replicas=2)


# --- push-slower-than-delay ------------------------------------------------------------------


def test_a_push_interval_over_the_delay_is_found_with_both_numbers():
    text = found(metrics_interval_s=10, look_back_period_s=2.5, upscale_delay_s=2.5)

    assert text["push-slower-than-delay"].startswith(
        "metrics_interval_s 10 is longer than upscale_delay_s 2.5: "
    )
    assert "up to 10 s late" in text["push-slower-than-delay"]
    assert text["push-slower-than-delay"].endswith("Set metrics_interval_s to 2.5 or less.")


def test_of_two_delays_the_shorter_one_bounds_the_push_interval():
    text = found(upscale_delay_s=4, downscale_delay_s=6)["push-slower-than-delay"]

    assert "longer than upscale_delay_s 4 and downscale_delay_s 6:" in text
    assert text.endswith("Set metrics_interval_s to 4 or less.")


def test_a_push_interval_as_long_as_the_delay_is_well():
    assert "push-slower-than-delay" not in found(upscale_delay_s=10)


@pytest.mark.parametrize(("interval_s", "fires"), [(1.0, False), (1.1, True)])
def test_no_delay_at_all_is_well_served_by_a_push_each_second(interval_s: float, fires: bool):
    text = found(metrics_interval_s=interval_s, upscale_delay_s=0)

    assert ("push-slower-than-delay" in text) is fires


# --- look-back-within-push -------------------------------------------------------------------


@pytest.mark.parametrize(("look_back_s", "fires"), [(5, True), (10, True), (10.1, False)])
def test_a_look_back_must_be_longer_than_the_push_interval(look_back_s: float, fires: bool):
    text = found(look_back_period_s=look_back_s)

    assert ("look-back-within-push" in text) is fires
    if fires:
        expected = f"look_back_period_s {look_back_s} is not longer than metrics_interval_s 10: "
        assert text["look-back-within-push"].startswith(expected)
        assert text["look-back-within-push"].endswith(
            f"Set metrics_interval_s below {look_back_s}."
        )


# --- delay-within-look-back ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "names", "effect"),
    [
        ({"upscale_delay_s": 12}, "upscale_delay_s 12 is", "holds a burst that is over"),
        ({"downscale_delay_s": 12}, "downscale_delay_s 12 is", "holds a lull that is over"),
        (
            {"upscale_delay_s": 12, "downscale_delay_s": 20},
            "upscale_delay_s 12 and downscale_delay_s 20 are",
            "in turns (thrash)",
        ),
    ],
)
def test_a_delay_shorter_than_the_look_back_is_found(changed, names, effect):
    text = found(**changed)["delay-within-look-back"]

    assert text.startswith(
        f"{names} shorter than look_back_period_s 30: the mean over the last 30 s"
    )
    assert effect in text
    assert "Set look_back_period_s to 12, or " in text
    assert text.endswith(" to 30 or more.")


def test_a_delay_as_long_as_the_look_back_is_well():
    assert found(upscale_delay_s=30, downscale_delay_s=30) == {}


def test_a_look_back_that_needs_a_quicker_push_says_so():
    text = found(upscale_delay_s=5)["delay-within-look-back"]

    assert text.endswith(
        "Set look_back_period_s to 5 and metrics_interval_s below it (now 10), "
        "or upscale_delay_s to 30 or more."
    )


def test_without_any_delay_no_look_back_is_short_enough():
    text = found(metrics_interval_s=1, upscale_delay_s=0)["delay-within-look-back"]

    assert text.endswith(". Set upscale_delay_s to 30 or more.")


@pytest.mark.parametrize(
    ("aggregation", "forgotten", "kept"),
    [
        ("max", "downscale_delay_s", "upscale_delay_s"),
        ("min", "upscale_delay_s", "downscale_delay_s"),
    ],
)
def test_a_maximum_forgets_lulls_and_a_minimum_bursts(aggregation, forgotten, kept):
    silent = found(aggregation_function=aggregation, **{forgotten: 12})
    fires = found(aggregation_function=aggregation, **{kept: 12})

    assert silent == {}
    assert f"the {aggregation} over the last 30 s" in fires["delay-within-look-back"]


@pytest.mark.parametrize(
    ("aggregation", "up_s", "down_s", "tried"),
    [
        ("max", 5, 2, "look_back_period_s=5"),
        ("max", 5, 0, "look_back_period_s=5"),
        ("min", 2, 5, "look_back_period_s=5"),
        ("mean", 5, 2, "look_back_period_s=2"),
        ("max", 0, 5, "upscale_delay_s=10"),
    ],
)
def test_what_is_tried_is_what_is_advised(aggregation, up_s, down_s, tried):
    changed = {
        "aggregation_function": aggregation,
        "upscale_delay_s": up_s,
        "downscale_delay_s": down_s,
        "look_back_period_s": 10,
        "metrics_interval_s": 1,
    }
    [finding] = lint_config({KEY: DeploymentInfo(autoscaling=RAY_DEFAULTS | changed)})

    assert finding.command == f"scalelag whatif RUN --set {KEY}:{tried}"
    assert f"{tried.replace('=', ' to ')}" in finding.text


def test_a_gain_has_three_digits():
    text = found(upscaling_factor=4, target_ongoing_requests=0.3)["gain-swings"]

    assert "moves 13.3 replicas, so the target follows every fluctuation" in text


def test_bounds_that_are_the_same_leave_delays_and_targets_without_effect():
    assert found(min_replicas=2, max_replicas=2, upscale_delay_s=1, upscaling_factor=9) == {}
    assert "push-slower-than-delay" in found(min_replicas=1, max_replicas=2, upscale_delay_s=1)


# --- target-above-max-ongoing ----------------------------------------------------------------


def test_a_target_over_max_ongoing_requests_is_found_with_what_must_queue():
    text = found(target_ongoing_requests=8, max_ongoing_requests=5)["target-above-max-ongoing"]

    assert text.startswith("target_ongoing_requests 8 is above max_ongoing_requests 5: ")
    assert "more than 3 requests a replica wait in the queue" in text
    assert "Set max_ongoing_requests to 10 " in text  # 8 and 20 % is 9.6
    assert text.endswith("target_ongoing_requests to 4.17 or less.")  # 5 / 1.2


@pytest.mark.parametrize(
    ("most", "target", "advised"),
    [
        (5, 6, "8 (Ray|4.17"),
        (5000, 6000, "7200 (Ray|4166"),
        (1234567, 2000000, "2400000 (Ray|1028805"),
    ],
)
def test_large_numbers_are_written_out(most: int, target: int, advised: str):
    text = found(max_ongoing_requests=most, target_ongoing_requests=target)[
        "target-above-max-ongoing"
    ]

    assert f"target_ongoing_requests {target} is above max_ongoing_requests {most}:" in text
    assert all(f" to {one}" in text for one in advised.split("|"))


@pytest.mark.parametrize("most", [5, 6, None])
def test_a_target_up_to_max_ongoing_requests_is_well(most):
    assert found(target_ongoing_requests=5, max_ongoing_requests=most) == {}


def test_the_names_of_ray_2_10_are_read():
    autoscaling = {"max_replicas": 4, "target_num_ongoing_requests_per_replica": 8}
    info = DeploymentInfo(autoscaling=autoscaling, config={"max_concurrent_queries": 5})

    (finding,) = lint_config({KEY: info})

    assert finding.rule == "target-above-max-ongoing"


# --- settings without effect -----------------------------------------------------------------


def test_a_factor_that_another_one_supersedes_is_named():
    text = found(upscaling_factor=2.0, upscale_smoothing_factor=0.5)["superseded-factor"]

    assert text == (
        "upscale_smoothing_factor 0.5 has no effect: upscaling_factor 2 takes its place. "
        "Remove upscale_smoothing_factor."
    )


def test_the_common_factor_is_superseded_only_where_both_directions_have_their_own():
    one = found(smoothing_factor=0.5, upscaling_factor=2.0)
    both = found(smoothing_factor=0.5, upscaling_factor=2.0, downscale_smoothing_factor=0.7)

    assert one == {}
    assert both["superseded-factor"].startswith(
        "smoothing_factor 0.5 has no effect: upscaling_factor 2 and downscale_smoothing_factor 0.7 "
        "take its place."
    )


def test_two_names_for_the_same_factor_are_well():
    assert found(downscaling_factor=0.5, downscale_smoothing_factor=0.5) == {}


@pytest.mark.parametrize(("min_replicas", "fires"), [(0, False), (1, True), (2, True)])
def test_a_delay_to_zero_needs_a_minimum_of_zero(min_replicas: int, fires: bool):
    text = found(downscale_to_zero_delay_s=60.0, min_replicas=min_replicas)

    assert ("zero-delay-without-zero" in text) is fires
    if fires:
        assert "downscale_to_zero_delay_s 60 has no effect" in text["zero-delay-without-zero"]


def test_of_a_policy_of_the_users_own_only_what_ray_carries_out_is_judged():
    changed = {"upscale_delay_s": 1, "target_ongoing_requests": 9, "policy": OWN_POLICY}

    assert found(**changed) == {}
    assert set(found(**changed, downscale_to_zero_delay_s=60.0)) == {"zero-delay-without-zero"}


def around(autoscaling: dict[str, object], **info: object) -> dict[str, str]:
    """Texts by rule, with what is around the deployment's own configuration."""
    described = DeploymentInfo(autoscaling=RAY_DEFAULTS | autoscaling, **info)  # pyright: ignore[reportArgumentType]
    return {finding.rule: finding.text for finding in lint_config({KEY: described})}


def test_initial_replicas_that_serve_keeps_are_named_with_the_capacity():
    text = around({"initial_replicas": 3, "max_replicas": 8}, target_capacity=100.0)

    assert set(text) == {"initial-replicas-kept"}
    assert text["initial-replicas-kept"].startswith(
        "initial_replicas at target_capacity 100 keeps 3 replicas however little the load"
    )
    assert "min_replicas 1 has no effect" in text["initial-replicas-kept"]


@pytest.mark.parametrize("info", [{}, {"target_capacity": 100.0, "target_replicas": 1}])
def test_initial_replicas_that_bind_nothing_are_no_finding(info: dict[str, object]):
    assert around({"initial_replicas": 3, "max_replicas": 8}, **info) == {}


def test_a_capacity_that_scales_the_bounds_is_named_with_both_numbers():
    text = around({"max_replicas": 8}, target_capacity=50.0)

    assert text["target-capacity-set"].startswith(
        "target_capacity 50 lets it have 1 to 4 replicas, where max_replicas is 8"
    )


def test_a_policy_of_the_application_is_one_of_the_users_own():
    """The deployment's own configuration still shows the default."""
    changed = {"upscale_delay_s": 1}

    assert around(changed) != {}
    assert around(changed, app_policy="mine:for_all") == {}


def test_every_rule_is_in_the_docs():
    root = Path(__file__).parents[2]
    makers = ("reports/analysis/lint/config", "reports/analysis/lint/run")
    makers += (
        "scalelag/plugin/leader/start_lint",
        "scalelag/cluster/ignored_settings",
        "scalelag/cluster/unread_variables",
    )
    sources = "".join((root / f"{maker}.py").read_text(encoding="utf-8") for maker in makers)
    table = (root / "docs" / "lint.md").read_text(encoding="utf-8")

    made = re.findall(r'"([a-z]+(?:-[a-z]+)+)"', sources)
    documented = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)

    assert len(made) > 10
    assert sorted(documented) == sorted(made)
