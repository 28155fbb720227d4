"""Each piece of arithmetic and each shared text of the analysis has one place."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.serve.autoscaling_policy import (
    _apply_scaling_factors,
    _core_replica_queue_length_policy,
)
from ray.serve.config import AutoscalingConfig

from reports.analysis.lag.policy import Policy, policy_of
from reports.model.intervals import Window, covered_s, overlap_s, union, without
from reports.model.load import LoadReport, LoadStepReport, NameReport, WindowReport
from scalelag.record.rows import NO_ANSWER_IN_TIME
from scalelag.record.run_info import DeploymentInfo

ROOT = Path(__file__).parents[2]
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for package in ("reports", "probes", "scalelag")
    for path in (ROOT / package).rglob("*.py")
}


def places(pattern: str, within: str = "") -> list[str]:
    """The files in which a regular expression is found."""
    return [
        path
        for path, text in SOURCES.items()
        if path.startswith(within) and re.search(pattern, text)
    ]


def test_the_text_of_an_answer_that_did_not_come_stands_in_one_place():
    assert places(re.escape(f'"{NO_ANSWER_IN_TIME}"')) == ["scalelag/record/rows.py"]


def test_demand_is_rounded_in_one_place():
    assert places(r"ceil\((wanted\b|ongoing\b)|target_ongoing_requests\s*-\s*1e-") == []
    assert places(r"np\.ceil\(replicas\b", "reports/") == ["reports/analysis/lag/policy.py"]


def test_marks_of_the_control_loop_are_made_in_one_place():
    assert places(r"\.loops\b", "reports/") == ["reports/analysis/lag/control_loop.py"]


def test_time_in_windows_is_added_up_in_one_place():
    """Elsewhere nobody clips one window by another."""
    clips = r"min\([^()]*to_s[^()]*\) - max\("

    assert places(clips, "reports/analysis") == []


def test_fields_of_latency_are_filled_in_one_place():
    filled = [
        keyword.arg
        for node in ast.walk(ast.parse(SOURCES["reports/analysis/load/latency.py"]))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg and re.fullmatch(r"(latency|service)_\w+_ms", keyword.arg)
    ]

    assert filled == []


@pytest.mark.parametrize("struct", [LoadReport, LoadStepReport, NameReport, WindowReport])
def test_fields_of_latency_have_the_same_names_everywhere(struct: type[msgspec.Struct]):
    known = {f"latency_{q}_ms" for q in ("p50", "p95", "p99", "p999", "max")}
    known |= {"service_p50_ms", "service_p99_ms"}

    found = {f for f in struct.__struct_fields__ if f.startswith(("latency_", "service_"))}

    assert found <= known


# Demand against Ray's own policy


def policy(target: float) -> Policy:
    config = {"min_replicas": 0, "max_replicas": 10_000, "target_ongoing_requests": target}
    found = policy_of(DeploymentInfo(autoscaling=config, config={}, required_resources={}))
    assert found is not None
    return found


class Context:
    """Input of Ray's policy."""

    def __init__(self, running: int, ongoing: float, config: AutoscalingConfig) -> None:
        self.current_num_replicas = running
        self.target_num_replicas = running
        self.total_num_requests = ongoing
        self.config = config


def rays_demand(ongoing: float, target: float, factor: float) -> int:
    """The number at which Ray's default policy stays, asked again and again."""
    config = AutoscalingConfig(
        min_replicas=0,
        max_replicas=10_000,
        target_ongoing_requests=target,
        upscaling_factor=factor,
        downscaling_factor=factor,
    )
    running = 1
    for _ in range(1000):
        desired, _ = _core_replica_queue_length_policy(Context(running, ongoing, config))  # type: ignore[arg-type]
        wanted = max(1, _apply_scaling_factors(desired, running, config))
        if wanted == running:
            break
        running = wanted
    return running


@given(
    st.integers(1, 400), st.sampled_from([0.5, 1.0, 2.0, 2.5, 10.0]), st.sampled_from([0.3, 1.0])
)
def test_demand_is_what_rays_policy_settles_at(ongoing: int, target: float, factor: float):
    (ours,) = policy(target).demand(np.array([float(ongoing)]))

    assert ours == rays_demand(ongoing, target, factor)


@pytest.mark.parametrize(("ongoing", "replicas"), [(4.0, 2), (4.0 + 1e-9, 2), (4.01, 3), (0.0, 0)])
def test_a_mean_that_is_a_hair_above_a_whole_number_counts_as_it(ongoing: float, replicas: int):
    assert policy(2.0).demand_of(ongoing) == replicas


# Windows of time

windows = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)


def seconds_of(parts: list[tuple[int, int]]) -> set[int]:
    return {second for from_s, to_s in parts for second in range(from_s, to_s)}


@given(windows)
def test_a_union_is_the_same_time_once_and_in_order(parts: list[tuple[int, int]]):
    found = union(parts)

    assert seconds_of([(int(a), int(b)) for a, b in found]) == seconds_of(parts)
    assert all(one.to_s < then.from_s for one, then in pairwise(found))


@given(st.tuples(st.integers(0, 15), st.integers(15, 30)), windows)
def test_what_is_covered_and_what_is_left_make_up_a_window(
    window: tuple[int, int], parts: list[tuple[int, int]]
):
    whole = Window(*window)
    left = without(whole, parts)

    assert covered_s(whole, parts) == len(seconds_of([window]) & seconds_of(parts))
    assert covered_s(whole, parts) + sum(overlap_s(whole, part) for part in left) == (
        whole.to_s - whole.from_s
    )
