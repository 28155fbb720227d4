"""Our calls of Ray's autoscaler against Ray's own functions, step by step.

`python -m tools.whatif_steps TURNS` prints the result as JSON; `tools/whatif_versions.py` does it on
several versions. It imports only what the environment of another version has: Ray, msgspec and numpy.

Ours is `RayAutoscaler`, as a simulation uses it. Ray's functions are called one by one, each with the
moment that it takes as an argument: what averages samples, what aggregates them, what applies factors,
and what applies delays. Reports, replicas and targets are the same on both sides.
"""

import importlib
import random
import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import msgspec

from reports.whatif.autoscaler import HandleReport, Series
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.autoscaler.ray_names import ray_names
from scalelag.autoscaler.user_policy import UserPolicy
from scalelag.record.deployment_info import DeploymentInfo

KEY: Final = "app/D"
START_S: Final = 1_800_000_000.0
TURN_S: Final = 0.1
TURNS: Final = 400
_STARTS_FOR: Final = 15
_CLOSE: Final = 1e-9
FUNCTIONS: Final = ("mean", "max", "min")
SETTINGS: Final[tuple[Mapping[str, Any], ...]] = (
    {"upscale_delay_s": 2.0, "downscale_delay_s": 5.0},
    {"upscale_delay_s": 0.0, "downscale_delay_s": 0.0},
    {"upscale_delay_s": 1.0, "downscale_delay_s": 2.0, "upscaling_factor": 0.5},
    {"upscale_delay_s": 0.5, "downscale_delay_s": 1.0, "downscaling_factor": 0.3},
    {"upscale_delay_s": 1.0, "downscale_delay_s": 1.0, "min_replicas": 0},
    {
        "min_replicas": 0,
        "upscale_delay_s": 0.3,
        "downscale_delay_s": 1.0,
        "downscale_to_zero_delay_s": 3.0,
    },
)


class StepDifferences(msgspec.Struct, frozen=True):
    """Turns of the control loop on one version of Ray, and those in which the two sides differed."""

    ray: str
    turns: int
    decisions: int
    totals_differ: int
    targets_differ: int


class Turn(NamedTuple):
    """Input of both sides in one turn: a report or none, and the replicas that are RUNNING."""

    now_s: float
    report: HandleReport | None
    running: Sequence[str]
    target: int


class ByRaysFunctions:
    """Totals and decisions put together from functions of Ray, each called with the moment it takes."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._config = ray_names().autoscaling_config(**settings)
        self._policy = importlib.import_module("ray.serve.autoscaling_policy")
        self._state: dict[str, Any] = {}
        self._report: HandleReport | None = None

    def total(self, turn: Turn) -> float:
        """Requests that the policy is given in this turn."""
        self._report = turn.report or self._report
        if self._report is None:
            return 0.0
        running = {n: s for n, s in self._report.running.items() if n in turn.running}
        if ray_names().handle_averages:
            return _averaged(self._report.queued, running)
        return _merged([self._report.queued, *running.values()], turn.now_s, self._config)

    def target(self, turn: Turn, total: float) -> int:
        """The next target."""
        config, running = self._config, len(turn.running)
        if hasattr(self._policy, "_apply_delay_logic"):
            wanted = self._by_pieces(turn, total)
        else:
            context = SimpleNamespace(
                target_num_replicas=turn.target,
                total_num_requests=total,
                current_num_replicas=running,
                config=config,
                capacity_adjusted_min_replicas=config.min_replicas,
                capacity_adjusted_max_replicas=config.max_replicas,
                policy_state=self._state,
            )
            wanted, self._state = self._policy.replica_queue_length_autoscaling_policy(context)
        return min(max(wanted, config.min_replicas), config.max_replicas)

    def _by_pieces(self, turn: Turn, total: float) -> int:
        """Cold start, factors and delays, as Ray 2.55 and later apply them."""
        config, running = self._config, len(turn.running)
        context = SimpleNamespace(
            current_num_replicas=running,
            total_num_requests=total,
            target_num_replicas=turn.target,
            config=config,
        )
        cold = self._policy._get_cold_start_scale_up_replicas(context)  # noqa: SLF001  Ray's
        if cold is not None:
            return cold
        if running == 0:
            return turn.target
        desired = running * (total / (config.get_target_ongoing_requests() * running))
        scaled = self._policy._apply_scaling_factors(desired, running, config)  # noqa: SLF001
        decided, self._state = self._policy._apply_delay_logic(  # noqa: SLF001
            max(0, scaled), turn.target, config, self._state, _now=turn.now_s
        )
        return decided


def _averaged(queued: Series, running: Mapping[str, Series]) -> float:
    """The total by Ray's store of samples, as a handle averages it up to 2.55."""
    store = importlib.import_module("ray.serve._private.metrics_utils").InMemoryMetricsStore()
    for name, series in {"queued": queued, **running}.items():
        for at_s, value in zip(series.at_s, series.values, strict=True):
            store.add_metrics_point({name: value}, at_s)
    samples = store.timeseries_count("queued")
    total = store.aggregate_avg(["queued"])[0]
    for name in running:
        total += store.aggregate_sum([name])[0] / samples  # in the order of the controller
    return total


def _merged(series: Sequence[Series], now_s: float, config: Any) -> float:  # noqa: ANN401  Ray's
    """The total by Ray's aggregation of 2.60, given the moment."""
    numpy = importlib.import_module("numpy")
    merge: Any = importlib.import_module("ray.serve._private.autoscaling_metrics_merge")
    offsets = numpy.cumsum([0, *(len(one.at_s) for one in series)])
    at_s = numpy.array([at for one in series for at in one.at_s])
    values = numpy.array([value for one in series for value in one.values])
    return merge.merge_and_aggregate_arrays(
        at_s, values, offsets, now_s, config.aggregation_function
    )


class OurAutoscaler:
    """Our autoscaler, and a second one whose policy tells the total that it was given."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        info = {KEY: DeploymentInfo(autoscaling=dict(settings))}
        policy = UserPolicy(f"{__name__}:tell_total", sys.modules[__name__], tell_total)
        self._deciding, self._telling = RayAutoscaler(info), RayAutoscaler(info, policy)

    def total(self, turn: Turn) -> float:
        """Requests that a policy is given in this turn."""
        self._take(self._telling, turn)
        self._telling.decide(turn.now_s, {KEY: turn.target})
        return self._telling.policy_state[KEY].get("total", 0.0)

    def target(self, turn: Turn) -> int:
        """The next target."""
        self._take(self._deciding, turn)
        return self._deciding.decide(turn.now_s, {KEY: turn.target})[KEY]

    def _take(self, autoscaler: RayAutoscaler, turn: Turn) -> None:
        if turn.report is not None:
            autoscaler.report(turn.report)
        autoscaler.set_running(KEY, turn.running)


def tell_total(context: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401  Ray's
    """Keep the number of replicas, and the total as state: a policy of our own."""
    return context.target_num_replicas, {"total": context.total_num_requests}


def compared(settings: Mapping[str, Any], seed: int, turns: int = TURNS) -> StepDifferences:
    """Compare both sides over some turns with one set of settings; targets are Ray's functions'."""
    quiet_ray()
    ours, rays, given = OurAutoscaler(settings), ByRaysFunctions(settings), GivenTurns(seed)
    target, decisions, totals_differ, targets_differ = 1, 0, 0, 0
    for number in range(turns):
        turn = given.turn(number, target)
        total = rays.total(turn)
        # Without replicas Ray asks no policy, which could tell the total.
        if turn.running and abs(ours.total(turn) - total) > _CLOSE:
            totals_differ += 1
        wanted = rays.target(turn, total)
        targets_differ += ours.target(turn) != wanted
        decisions += wanted != target
        target = wanted
    return StepDifferences(ray_names().version, turns, decisions, totals_differ, targets_differ)


class GivenTurns:
    """Turns of a handle whose load changes, with RUNNING replicas that follow a target."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311  no secret
        self._running = ["r0"]
        self._started = 1
        self._wanted_for = 0
        self._level = 0.0

    def turn(self, number: int, target: int) -> Turn:
        """The turn of that number, in which the target is `target` before the decision."""
        if number % 100 == 0:
            self._level = self._chance.choice([0.0, 1.0, 9.0, 25.0])
        before = self._running
        self._running = before[:target]
        missing = target - len(self._running)
        self._wanted_for = self._wanted_for + 1 if missing else 0
        if self._wanted_for >= _STARTS_FOR:
            new = range(self._started, self._started + missing)
            self._running = [*self._running, *(f"r{one}" for one in new)]
            self._started += missing
        now_s = START_S + TURN_S * number
        replicas = tuple(dict.fromkeys((*before, *self._running)))
        report = _report(self._chance, now_s, self._level, replicas) if number % 10 == 0 else None
        return Turn(now_s, report, tuple(self._running), target)


def _report(
    chance: random.Random, now_s: float, level: float, replicas: Sequence[str]
) -> HandleReport:
    """Metrics of a handle; a replica may have fewer samples than the queue, as a new one has."""
    at_s = [round(now_s - 0.4 * back, 3) for back in range(5, 0, -1)]
    queued = [float(chance.randint(0, 2)) * bool(level) for _ in at_s]
    running: dict[str, Series] = {}
    for name in replicas:
        own_s = at_s[chance.randint(0, 3) :]
        each = level // len(replicas)  # whole numbers, as gauges of requests are
        running[name] = Series(own_s, [max(0.0, each + chance.randint(-1, 1)) for _ in own_s])
    return HandleReport(KEY, "h", now_s, Series(at_s, queued), running)


def compare_here(turns: int) -> StepDifferences:
    """Compare with the Ray of this process, over all settings and aggregation functions."""
    bounds = {"min_replicas": 1, "max_replicas": 8}
    found = [
        compared({**bounds, **one, "aggregation_function": function}, 5, turns)
        for one in SETTINGS
        for function in FUNCTIONS
    ]
    return StepDifferences(
        found[0].ray,
        *(
            sum(getattr(one, name) for one in found)
            for name in StepDifferences.__struct_fields__[1:]
        ),
    )


def main() -> None:
    """Compare over as many turns as are given, and print the result as JSON."""
    found = compare_here(int(sys.argv[1]))
    sys.stdout.write(f"{msgspec.json.encode(found).decode()}\n")


if __name__ == "__main__":
    main()
