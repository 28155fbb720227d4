"""Settings of a deployment that will do harm or nothing, each with the reason and the numbers.

The rules here need the configuration alone; those that need a run are in `lint_run`. Ray's own
defaults break none of them. docs/lint.md lists all.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from reports.analysis.lag.policy import Policy, policy_of
from reports.analysis.lint.advised import (
    QUICKEST_PUSH_S,
    advised_change,
    delays_of,
    delays_that_count,
)
from reports.model.try_out import whatif_command
from scalelag.record.effective import is_number, slots_of
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_info import DeploymentInfo, LintFinding
from scalelag.wording import count

Rule = Callable[[Policy, DeploymentInfo], str | None]


def lint_config(deployments: Mapping[DeploymentKey, DeploymentInfo]) -> tuple[LintFinding, ...]:
    """Findings on configurations as deployed, by deployment; none for a fixed number of replicas.

    Of a policy of the user's own, and where both bounds are the same, only those settings are judged
    that Ray itself carries out.
    """
    found: list[LintFinding] = []
    policies = {key: policy_of(info) for key, info in deployments.items()}
    alone = sum(policy is not None for policy in policies.values()) == 1
    for key, info in sorted(deployments.items()):
        policy = policies[key]
        if policy is None:
            continue
        decides = policy.default and policy.max_replicas > policy.min_replicas
        rules = _ALWAYS | _OF_DEFAULT_POLICY if decides else _ALWAYS
        texts = {name: rule(policy, info) for name, rule in rules.items()}
        found += [
            LintFinding(key, name, text, _command(key, name, policy) if alone else None)
            for name, text in texts.items()
            if text
        ]
    return tuple(found)


def _command(key: DeploymentKey, rule: str, policy: Policy) -> str | None:
    """The simulation that tries what a rule advises; None if it changes no simulated setting."""
    return whatif_command(key, advised_change(rule, policy))


def _push_slower_than_delay(policy: Policy, _info: DeploymentInfo) -> str | None:
    """A report each `p` s cannot confirm anything within a delay shorter than that."""
    push_s = policy.metrics_interval_s
    allowed = {name: delay_s or QUICKEST_PUSH_S for name, delay_s in delays_of(policy).items()}
    short = [name for name, most_s in allowed.items() if push_s > most_s]
    if not short:
        return None
    return (
        f"metrics_interval_s {push_s:g} is longer than {_with_values(policy, short)}: open "
        f"requests are reported every {push_s:g} s, so a change in load is noticed up to "
        f"{push_s:g} s late, and the delay is over before a second report can confirm the first. "
        f"Set metrics_interval_s to {min(allowed[name] for name in short):g} or less."
    )


def _look_back_within_push(policy: Policy, _info: DeploymentInfo) -> str | None:
    """Ray warns of `L <= p` itself, in the process that deploys, and means to refuse it."""
    push_s, look_back_s = policy.metrics_interval_s, policy.look_back_period_s
    if look_back_s > push_s:
        return None
    return (
        f"look_back_period_s {look_back_s:g} is not longer than metrics_interval_s {push_s:g}: "
        f"the average rests on one report, up to {push_s:g} s old, and Ray will refuse this in a "
        f"later version. Set metrics_interval_s below {look_back_s:g}."
    )


def _delay_within_look_back(policy: Policy, _info: DeploymentInfo) -> str | None:
    """The past counts for `L`: with a shorter delay, a burst acts that is over already."""
    look_back_s, delays = policy.look_back_period_s, delays_that_count(policy)
    short = [name for name, delay_s in delays.items() if delay_s < look_back_s]
    if not short:
        return None
    return (
        f"{_with_values(policy, short)} {'are' if len(short) > 1 else 'is'} shorter than "
        f"look_back_period_s {look_back_s:g}: the {policy.aggregation} over the last "
        f"{look_back_s:g} s {_EFFECT[' and '.join(short)]}. "
        f"{_slower_or_shorter(policy, short, min(delays[name] for name in short))}"
    )


_EFFECT = {
    "upscale_delay_s": "still holds a burst that is over, and adds replicas for it",
    "downscale_delay_s": "still holds a lull that is over, and removes replicas for it",
    "upscale_delay_s and downscale_delay_s": (
        "still holds bursts and lulls that are over, and adds and removes replicas for them in "
        "turns (thrash)"
    ),
}


def _slower_or_shorter(policy: Policy, short: list[str], least_s: float) -> str:
    raised = f"{' and '.join(short)} to {policy.look_back_period_s:g} or more"
    if not least_s:
        return f"Set {raised}."
    push_s = policy.metrics_interval_s
    push = "" if push_s < least_s else f" and metrics_interval_s below it (now {push_s:g})"
    return f"Set look_back_period_s to {least_s:g}{push}, or {raised}."


def _target_above_max_ongoing(policy: Policy, info: DeploymentInfo) -> str | None:
    """The average only passes `T` a replica while `T - M` a replica queue before full replicas."""
    target = policy.target_ongoing_requests
    most = slots_of(info)
    if most is None or target <= most:
        return None
    return (
        f"target_ongoing_requests {target:.10g} is above max_ongoing_requests {most}: a full replica "
        f"has {most}, so replicas are added only while more than {count(target - most, 'request')} a "
        f"replica wait in the queue besides. Set max_ongoing_requests to {math.ceil(1.2 * target)} "
        "(Ray advises 20 to 50 % above the target), or target_ongoing_requests to "
        f"{_about(most / 1.2)} or less."
    )


def _about(value: float) -> str:
    """A number with three digits, or the whole part of a larger one."""
    return f"{value:.3g}" if value < _THREE_DIGITS else str(int(value))


_THREE_DIGITS = 100


def _gain(policy: Policy, _info: DeploymentInfo) -> str | None:
    """From `n` replicas where `r` are wanted Ray goes to `ceil(n + factor (r - n))`.

    On the way down a factor above 1 so ends below `r`, which is not rounded, and comes back
    (`_apply_scaling_factors` in `ray/serve/autoscaling_policy.py`).
    """
    up, down = policy.upscaling_factor, policy.downscaling_factor
    found: list[str] = []
    if down > 1:
        found.append(
            f"downscaling_factor {down:g} goes below what is wanted: where just over 2 replicas "
            f"are enough it leaves {max(1, math.floor(3 - down) + 1)} of 3, adds them again and so on. "
            "Set downscaling_factor to 1 or less."
        )
    gain = up / policy.target_ongoing_requests
    wide = policy.max_replicas - policy.min_replicas
    if up > 1 and gain >= _MOST_GAIN and wide >= _MOST_GAIN:
        found.append(
            f"upscaling_factor {up:g} at target_ongoing_requests {policy.target_ongoing_requests:g}: "
            f"one open request more moves {count(float(f'{gain:.3g}'), 'replica')}, so the target "
            "follows every fluctuation. Set upscaling_factor to 1."
        )
    return " ".join(found) or None


_MOST_GAIN = 2.0


def _superseded_factor(_policy: Policy, info: DeploymentInfo) -> str | None:
    """Ray takes `upscaling_factor`, else `upscale_smoothing_factor`, else `smoothing_factor`."""
    config = info.autoscaling or {}
    shadowed = _shadowed(config, "upscaling_factor", "upscale_smoothing_factor")
    shadowed |= _shadowed(config, "downscaling_factor", "downscale_smoothing_factor")
    up, down = (_first(config, pair) for pair in _DIRECTIONS)
    if up and down and config.get("smoothing_factor") not in (None, 1.0):
        shadowed["smoothing_factor"] = f"{_setting(config, up)} and {_setting(config, down)}"
    texts = [
        f"{_setting(config, name)} has no effect: {winner} "
        f"{'take' if ' and ' in winner else 'takes'} its place. Remove {name}."
        for name, winner in shadowed.items()
    ]
    return " ".join(texts) or None


_DIRECTIONS = (
    ("upscaling_factor", "upscale_smoothing_factor"),
    ("downscaling_factor", "downscale_smoothing_factor"),
)


def _shadowed(config: Mapping[str, Any], winner: str, loser: str) -> dict[str, str]:
    taken, left = config.get(winner), config.get(loser)
    return {loser: _setting(config, winner)} if taken and left and taken != left else {}


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if config.get(name)), None)


def _setting(config: Mapping[str, Any], name: str) -> str:
    value = config[name]
    return f"{name} {value:g}" if is_number(value) else f"{name} {value}"


def _zero_delay_without_zero(policy: Policy, info: DeploymentInfo) -> str | None:
    """The last replica's delay counts on the way from 1 to 0 only."""
    delay_s = (info.autoscaling or {}).get("downscale_to_zero_delay_s")
    least = policy.min_replicas
    if delay_s is None or least == 0:
        return None
    return (
        f"downscale_to_zero_delay_s {delay_s:g} has no effect: {policy.scaling.least_name} keeps "
        f"{count(least, 'replica')}. Set min_replicas to 0, or remove it."
    )


def _initial_replicas_kept(policy: Policy, info: DeploymentInfo) -> str | None:
    """Once scaled up to a target_capacity, Serve keeps initial_replicas instead of min_replicas."""
    scaling = policy.scaling
    if not scaling.held_initial:
        return None
    return (
        f"{scaling.least_name} keeps {count(scaling.least, 'replica')} however little the load: "
        "Serve takes it "
        "for the minimum after it was scaled up to a target_capacity, and min_replicas "
        f"{(info.autoscaling or {}).get('min_replicas', 1)} has no effect. Deploy once without "
        "target_capacity, or lower initial_replicas."
    )


def _capacity_scales_bounds(policy: Policy, info: DeploymentInfo) -> str | None:
    """A target_capacity left behind by an upgrade makes a load test one of a part of the cluster."""
    scaling, given = policy.scaling, (info.autoscaling or {}).get("max_replicas", 1)
    if scaling.capacity is None or scaling.most in (None, given):
        return None
    return (
        f"target_capacity {scaling.capacity:g} lets it have {scaling.least} to "
        f"{count(scaling.most or 0, 'replica')}, where max_replicas is {given}: what is "
        "measured is a part of what it can be. "
        "Deploy without target_capacity to test the whole."
    )


def _with_values(policy: Policy, names: list[str]) -> str:
    delays = delays_of(policy)
    return " and ".join(f"{name} {delays[name]:g}" for name in names)


_OF_DEFAULT_POLICY: dict[str, Rule] = {
    "push-slower-than-delay": _push_slower_than_delay,
    "look-back-within-push": _look_back_within_push,
    "delay-within-look-back": _delay_within_look_back,
    "target-above-max-ongoing": _target_above_max_ongoing,
    "gain-swings": _gain,
}
_ALWAYS: dict[str, Rule] = {
    "superseded-factor": _superseded_factor,
    "zero-delay-without-zero": _zero_delay_without_zero,
    "initial-replicas-kept": _initial_replicas_kept,
    "target-capacity-set": _capacity_scales_bounds,
}
