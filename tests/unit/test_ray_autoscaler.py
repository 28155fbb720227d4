"""Ray's autoscaler on virtual time: the same outputs as Ray's own functions for the same inputs."""

import math
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from ray.serve import autoscaling_policy
from ray.serve._private.autoscaling_metrics_merge import merge_and_aggregate_arrays
from ray.serve.config import AutoscalingConfig

from reports.whatif.autoscaler import HandleReport, Series
from scalelag.autoscaler import ray_names as names
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler
from scalelag.autoscaler.user_policy import load_policy
from scalelag.errors import UsageError
from scalelag.record.deployment_info import DeploymentInfo

KEY = "app/D"
START_S = 1_800_000_000.0


def info_of(**settings: Any) -> DeploymentInfo:
    return DeploymentInfo(autoscaling={"min_replicas": 1, "max_replicas": 8, **settings})


def aggregated(reports: Mapping[str, Series], now_s: float, function: str) -> float:
    """Ray's aggregate over series of single sources."""
    series = [one for one in reports.values() if one.at_s]
    offsets = np.cumsum([0, *(len(one.at_s) for one in series)])
    at_s = np.array([at for one in series for at in one.at_s])
    values = np.array([value for one in series for value in one.values])
    return merge_and_aggregate_arrays(at_s, values, offsets, now_s, function)


class ByRaysPieces:
    """Decisions put together from Ray's functions, each called with the moment that it takes."""

    def __init__(self, config: AutoscalingConfig) -> None:
        self.config = config
        self.state: dict[str, Any] = {}

    def decide(self, now_s: float, total: float, running: int, target: int) -> int:
        config = self.config
        if running == 0:
            wanted = max(math.ceil(config.get_upscaling_factor()), target) if total > 0 else target
            return min(max(wanted, config.min_replicas), config.max_replicas)
        desired = running * (total / (config.get_target_ongoing_requests() * running))
        desired = autoscaling_policy._apply_scaling_factors(desired, running, config)
        decided, self.state = autoscaling_policy._apply_delay_logic(
            max(0, desired), target, config, self.state, _now=now_s
        )
        return min(max(decided, config.min_replicas), config.max_replicas)


@pytest.mark.parametrize("function", ["mean", "max", "min"])
@pytest.mark.parametrize(
    "settings",
    [
        {"upscale_delay_s": 2.0, "downscale_delay_s": 5.0},
        {"upscale_delay_s": 0.0, "downscale_delay_s": 0.0},
        {"upscale_delay_s": 1.0, "downscale_delay_s": 2.0, "upscaling_factor": 0.5},
        {"upscale_delay_s": 0.5, "downscale_delay_s": 1.0, "downscaling_factor": 0.3},
        {"upscale_delay_s": 1.0, "downscale_delay_s": 1.0, "min_replicas": 0},
        {"min_replicas": 0, "downscale_to_zero_delay_s": 3.0, "downscale_delay_s": 1.0},
    ],
)
def test_each_step_decides_as_rays_functions_do(settings: dict[str, Any], function: str):
    config = AutoscalingConfig(
        **{"min_replicas": 1, "max_replicas": 8, **settings, "aggregation_function": function}
    )
    ours = RayAutoscaler({KEY: info_of(**settings, aggregation_function=function)})
    expected = ByRaysPieces(config)
    chance = random.Random(5)
    target, level = 1, 3.0
    reported: dict[str, Series] = {}

    for turn in range(400):
        now_s = START_S + 0.1 * turn
        if turn % 100 == 0:
            level = chance.choice([0.0, 1.0, 9.0, 25.0])
        if turn % 10 == 0:
            at_s = [now_s - 0.4 * back for back in range(5, 0, -1)]
            # Whole hundredths, as Ray rounds the moments of several sources.
            at_s = [round(at, 2) for at in at_s]
            queued = Series(at_s, [float(chance.randint(0, 2)) * bool(level) for _ in at_s])
            running = {
                f"r{number}": Series(at_s, [level / max(1, target)] * 5) for number in range(target)
            }
            reported = {"queued": queued, **running}
            ours.report(HandleReport(KEY, "h", now_s, queued, running))
        present = [f"r{number}" for number in range(target)]
        ours.set_running(KEY, present)
        counted = {name: one for name, one in reported.items() if name in ("queued", *present)}
        total = aggregated(counted, now_s, function)

        wanted = expected.decide(now_s, total, target, target)

        assert ours.decide(now_s, {KEY: target})[KEY] == wanted
        target = wanted


def test_a_delay_counts_from_the_first_moment_that_wants_more():
    ours = RayAutoscaler({KEY: info_of(upscale_delay_s=2.0, target_ongoing_requests=2)})
    ours.set_running(KEY, ["r0"])
    ours.report(HandleReport(KEY, "h", START_S, Series([START_S], [8.0]), {}))

    decided = [ours.decide(START_S + 0.1 * turn, {KEY: 1})[KEY] for turn in range(25)]

    assert decided.index(4) == 20


def test_settings_that_ray_refuses_say_so_in_its_words():
    with pytest.raises(UsageError, match=r"app/D.*max_replicas \(1\).*min_replicas \(3\)"):
        RayAutoscaler({KEY: info_of(min_replicas=3, max_replicas=1)})


def test_a_policy_of_ones_own_is_asked_and_sees_the_virtual_time(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "policies_one.py").write_text(
        "import time\n"
        "from time import monotonic\n"
        "def by_the_clock(ctx):\n"
        "    state = dict(ctx.policy_state, seen=time.time(), also=monotonic())\n"
        "    return (5 if time.time() > 1_800_000_003 else 2), state\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = info_of(upscale_delay_s=0.0)
    ours = RayAutoscaler({KEY: settings}, load_policy("policies_one:by_the_clock"))
    ours.set_running(KEY, ["r0"])

    early = ours.decide(START_S, {KEY: 2})
    late = ours.decide(START_S + 4, {KEY: 2})

    assert (early[KEY], late[KEY]) == (2, 5)
    assert ours.policy_state[KEY]["seen"] == ours.policy_state[KEY]["also"] == START_S + 4
    assert abs(time.time() - START_S) > 4  # ours alone is virtual


def test_a_policy_of_an_application_decides_for_all_its_deployments(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "policies_two.py").write_text(
        "def half_of_the_other(contexts):\n"
        "    by_name = {one.name: one for one in contexts}\n"
        "    return {by_name['D']: 6, by_name['E']: 3}, {}\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = info_of(upscale_delay_s=0.0)
    policy = load_policy("policies_two:half_of_the_other", of_application=True)
    ours = RayAutoscaler({"app/D": settings, "app/E": settings}, policy)
    ours.set_running("app/D", ["r0"])
    ours.set_running("app/E", ["r0"])

    assert ours.decide(START_S, {"app/D": 1, "app/E": 1}) == {"app/D": 6, "app/E": 3}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(ctx):\n    raise KeyError('no such metric')\n", r"KeyError.*policies_bad.*:2"),
        ("def f(ctx):\n    return 'many', {}\n", "TypeError"),
        ("def f(ctx):\n    return 3\n", r"TypeError.*refused by Ray"),
    ],
)
def test_a_policy_that_fails_is_named_with_its_place(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, source: str, said: str, request: Any
):
    module = f"policies_bad_{abs(hash(source))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    ours = RayAutoscaler({KEY: info_of()}, load_policy(f"{module}:f"))
    ours.set_running(KEY, ["r0"])

    with pytest.raises(UsageError, match=said):
        ours.decide(START_S, {KEY: 1})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_colon", "module:function"),
        ("no_such_module_here:f", "ModuleNotFoundError"),
        ("json:no_such_function", "no function of that name; it has .*dumps"),
    ],
)
def test_a_policy_that_cannot_be_imported_says_why(path: str, said: str):
    with pytest.raises(UsageError, match=said):
        load_policy(path)


def test_a_version_of_ray_whose_private_names_moved_is_named(monkeypatch: pytest.MonkeyPatch):
    needed = {**names._NEEDED, "ray.serve._private.common": ("DeploymentID", "NoSuchName")}
    monkeypatch.setattr(names, "_NEEDED", needed)

    with pytest.raises(UsageError, match=r"Ray 2\.\d+.*no ray.serve._private.common.NoSuchName"):
        names.ray_names()
