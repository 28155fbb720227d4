"""Differences that make runs incomparable: plans by content, settings by effect; labels of sides."""

from typing import Any

import msgspec
import pytest

from reports.analysis.comparing.effective_settings import effective_settings
from reports.analysis.comparing.run_differences import OptionSet, run_differences, side_labels
from scalelag.options.catalog import COMPARABLE
from scalelag.plan.stages import Stage
from scalelag.plan.trace import TraceSpec, read_trace
from scalelag.plan.trace_info import TraceInfo
from scalelag.record.run_info import RunInfo
from tests.support.stored_runs import recorded

KEY = "default/Sleeper"
DEFAULT_POLICY = "ray.serve.autoscaling_policy:default_autoscaling_policy"


@pytest.fixture
def info() -> RunInfo:
    return recorded("demo").info


KNOWN = OptionSet(COMPARABLE)


def changed(info: RunInfo, **fields: Any) -> RunInfo:
    return msgspec.structs.replace(info, **fields)


def with_versions(info: RunInfo, **versions: str) -> RunInfo:
    return changed(info, versions=msgspec.structs.replace(info.versions, **versions))


def with_settings(info: RunInfo, settings: dict[str, Any] | None) -> RunInfo:
    return deployed(info, autoscaling=settings)


def deployed(info: RunInfo, **fields: Any) -> RunInfo:
    deployments = {KEY: msgspec.structs.replace(info.target.deployments[KEY], **fields)}
    return changed(info, target=msgspec.structs.replace(info.target, deployments=deployments))


def configured(info: RunInfo, **config: Any) -> RunInfo:
    return deployed(info, config={**info.target.deployments[KEY].config, **config})


def with_trace(info: RunInfo, file: str, sha256: str | None) -> RunInfo:
    plan = msgspec.structs.replace(info.plan, text=f"trace {file}")
    trace = TraceInfo(file, "rates", "rps", None, 3, sha256)
    return changed(info, plan=plan, trace=trace, options={**info.options, "trace": file})


# --- plans -----------------------------------------------------------------------------------


def test_the_same_content_under_two_names_is_one_plan(info):
    assert (
        run_differences([with_trace(info, "a.csv", "1f"), with_trace(info, "b.csv", "1f")], KNOWN)
        == ()
    )


def test_other_content_under_one_name_is_another_plan(info):
    found = run_differences(
        [with_trace(info, "a.csv", "1f"), with_trace(info, "a.csv", "2e")], KNOWN
    )

    assert found == ("plan: trace a.csv and one of that name with other content",)


def test_traces_of_older_records_are_told_apart_by_their_stages(info):
    one = with_trace(info, "a.csv", None)
    other = changed(one, plan=msgspec.structs.replace(one.plan, stages=(Stage(0, 9, 5, 5),)))

    assert run_differences([one, one], KNOWN) == ()
    assert run_differences([one, other], KNOWN) == (
        "plan: trace a.csv and one of that name with other content",
    )


def test_a_trace_is_known_by_its_numbers_and_not_by_its_file(tmp_path):
    def digest(name: str, text: str) -> str | None:
        path = tmp_path / name
        path.write_text(text)
        return read_trace(TraceSpec(str(path))).info.sha256

    one = digest("a.csv", "rps\n5\n40\n")
    assert one is not None
    assert len(one) == 64
    assert digest("b.csv", "time_s,rps\n100,5\n101,40\n") == one
    assert digest("a.csv", "rps\n5\n41\n") != one
    # Rates at these moments, and arrivals at these moments.
    assert digest("c.csv", "arrival_s\n0\n1\n2\n") != digest("d.csv", "time_s,rps\n0,1\n1,1\n")


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"downscale_to_zero_delay_s": None}),
        ({}, {"aggregation_function": "mean"}),
        ({}, {"upscale_delay_s": 30.0, "downscale_delay_s": 600}),
        ({"smoothing_factor": 1.0}, {"upscaling_factor": None, "downscaling_factor": 1.0}),
        ({"upscale_smoothing_factor": 0.5}, {"upscaling_factor": 0.5}),
        ({"target_num_ongoing_requests_per_replica": 3.0}, {"target_ongoing_requests": 3}),
        ({"_serialized_policy_def": "abc"}, {}),
        ({"_policy": DEFAULT_POLICY}, {"policy": {"name": DEFAULT_POLICY}}),
        ({}, {"policy": {"policy_function": DEFAULT_POLICY, "policy_kwargs": {}}}),
        ({}, {"policy": DEFAULT_POLICY.replace(":", ".")}),
    ],
)
def test_schemas_of_two_versions_of_ray_are_no_difference(info, one, other):
    runs = [with_settings(info, {"max_replicas": 4, **more}) for more in (one, other)]

    assert run_differences(runs, KNOWN) == ()


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({}, {"aggregation_function": "max"}, "aggregation_function: mean and max"),
        ({}, {"downscale_to_zero_delay_s": 5.0}, "downscale_to_zero_delay_s: nothing and 5.0"),
        ({}, {"smoothing_factor": 0.5}, "downscaling_factor: 1.0 and 0.5"),
        ({}, {"policy": {"policy_function": "mine:policy"}}, "policy: default and mine:policy"),
        ({"upscale_delay_s": 2.0}, {}, "upscale_delay_s: 2.0 and 30.0"),
    ],
)
def test_what_takes_effect_is_a_difference(info, one, other, said):
    runs = [with_settings(info, {"max_replicas": 4, **more}) for more in (one, other)]

    assert f"{KEY}: {said}" in run_differences(runs, KNOWN)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"target_capacity": 50.0}, "target_capacity: nothing and 50.0"),
        ({"app_policy": "mine:policy"}, "policy: default and mine:policy of its application"),
        ({"external_scaler": True}, "external_scaler_enabled: False and True"),
        ({"required_resources": {"CPU": 4.0}}, "resources: 0.1 CPU and 4 CPU"),
        (
            {"placement_bundles": ({"CPU": 1.0}, {"GPU": 1.0})},
            "resources: 0.1 CPU and a placement group of {1 CPU} + {1 GPU}",
        ),
    ],
)
def test_what_is_in_effect_around_the_autoscaler_is_a_difference_and_a_label(info, fields, said):
    other = deployed(info, **fields)
    name, values = said.split(": ", 1)
    ours, theirs = values.split(" and ", 1)

    assert run_differences([info, other], KNOWN) == (f"{KEY}: {said}",)
    # The label of a side has no more than 40 characters of a value.
    labels = side_labels([info], [other], KNOWN)
    assert labels[0] == f"{KEY} {name} {ours}"
    assert labels[1].removesuffix("...") == f"{KEY} {name} {theirs[:40]}"


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("max_ongoing_requests", 8, 2),
        ("max_queued_requests", -1, 5),
        ("graceful_shutdown_wait_loop_s", 1.0, 10.0),
        ("graceful_shutdown_timeout_s", 20.0, 60.0),
        ("health_check_period_s", 10.0, 1.0),
        ("health_check_timeout_s", 30.0, 3.0),
        ("max_replicas_per_node", "nothing", 2),
    ],
)
def test_settings_of_replicas_are_differences_and_labels(info, name, ours, theirs):
    other = configured(info, **{name: theirs})

    assert run_differences([info, other], KNOWN) == (f"{KEY}: {name}: {ours} and {theirs}",)
    assert side_labels([info], [other], KNOWN)[1] == f"{KEY} {name} {theirs}"


def test_fixed_numbers_of_replicas_are_compared(info):
    three, five = (
        deployed(info, autoscaling=None, config={"num_replicas": number}) for number in (3, 5)
    )

    assert run_differences([three, five], KNOWN) == (f"{KEY}: num_replicas: 3 and 5",)
    assert f"{KEY}: num_replicas: autoscaling and 3" in run_differences([info, three], KNOWN)
    assert side_labels([info], [three], KNOWN)[1] == f"{KEY} num_replicas 3"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"max_concurrent_queries": 100}, {"max_ongoing_requests": 100}),
        ({"max_concurrent_queries": 8, "max_ongoing_requests": None}, {"max_ongoing_requests": 8}),
        ({}, {"max_queued_requests": -1, "max_replicas_per_node": None}),
        ({}, {"graceful_shutdown_wait_loop_s": 2, "health_check_period_s": 10}),
        # A record that does not know it: the default depends on the version of Ray.
        ({}, {"max_ongoing_requests": 5}),
        ({"ray_actor_options": {"num_cpus": 0.1}}, {"ray_actor_options": {"num_cpus": 1}}),
    ],
)
def test_names_and_defaults_of_versions_around_the_autoscaler_are_no_difference(info, one, other):
    runs = [deployed(info, config=config) for config in (one, other)]

    assert run_differences(runs, KNOWN) == ()


def test_resources_that_an_older_ray_does_not_show_are_those_of_the_actor(info):
    assert run_differences([info, deployed(info, required_resources=None)], KNOWN) == ()


def test_a_deployment_that_is_not_known_has_no_settings():
    assert effective_settings(None) == {}


def test_an_option_that_a_record_does_not_know_had_its_default(info):
    newer = changed(info, options={**info.options, "surge": "none"})

    assert run_differences([info, newer], OptionSet(COMPARABLE, {"surge": "none"})) == ()
    assert run_differences([info, newer], OptionSet(COMPARABLE, {"surge": "all"})) == (
        "--surge: all and none",
    )


def test_user_classes_are_compared_where_both_records_name_them(info):
    one, other = (changed(info, user_classes=(name,)) for name in ("Reader", "Writer"))

    assert run_differences([one, other], KNOWN) == ("user classes: ['Reader'] and ['Writer']",)
    assert run_differences([changed(info, user_classes=()), other], KNOWN) == ()


# --- sides -----------------------------------------------------------------------------------


def test_sides_are_labelled_by_their_versions(info):
    base = [with_versions(info, ray="2.44.1", scalelag="0.1.0")] * 5
    candidate = [with_versions(info, ray="2.57.0", scalelag="0.1.0")] * 5

    assert side_labels(base, candidate, KNOWN) == ("Ray 2.44.1", "Ray 2.57.0")
    newer = [with_versions(one, scalelag="0.2.0") for one in candidate]
    assert side_labels(base, newer, KNOWN)[1] == "Ray 2.57.0, scalelag 0.2.0"


def test_sides_are_labelled_by_name_setting_or_option(info):
    named = changed(info, name="pull-812")
    slow = with_settings(info, {**info.target.deployments[KEY].autoscaling, "upscale_delay_s": 9.0})
    few = changed(info, options={**info.options, "max_in_flight": 50})

    assert side_labels([info], [named], KNOWN) == ("demo", "pull-812")
    assert side_labels([info], [slow], KNOWN)[1] == f"{KEY} upscale_delay_s 9.0"
    assert side_labels([info], [few], KNOWN) == ("--max-in-flight 1000", "--max-in-flight 50")


def test_what_differs_within_a_side_labels_nothing(info):
    base, candidate = [info, changed(info, name="x")], [changed(info, name="y")]

    assert side_labels(base, candidate, KNOWN) == ("base", "candidate")
