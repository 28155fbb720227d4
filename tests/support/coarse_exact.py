"""The coarse simulation of `scalelag whatif --capacity` beside the exact one, on the stored demo."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from reports.whatif.fleet.by_hour import fleet_hours
from reports.whatif.fleet.coarse import CoarseSimulation, Fleet, turn_of
from reports.whatif.from_record import recorded_scenario, with_settings
from reports.whatif.outcome import replica_hours
from reports.whatif.repeat import Trial
from reports.whatif.scenario import Arrivals
from reports.whatif.tuning.space import info_of
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.autoscaler.trials import Job, run_job
from scalelag.record.run_dir import load_run

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"
RAYS_PACE = {
    "metrics_interval_s": 10.0,
    "look_back_period_s": 30.0,
    "upscale_delay_s": 30.0,
    "downscale_delay_s": 120.0,
    "max_replicas": 12,
}


class BothHours(NamedTuple):
    """Replica-hours of the same load by both."""

    coarse_h: float
    exact_h: float


def coarse_and_exact(
    levels_rps: Sequence[float], settings: Mapping[str, float], hold_s: float = 300.0
) -> BothHours:
    """Simulate Poisson arrivals at some levels, with settings of the demo changed."""
    quiet_ray()
    recorded = recorded_scenario(load_run(DEMO), KEY)
    info = info_of(recorded.scenario.settings.info, settings)
    scenario = with_settings(recorded.scenario, info, None)
    at_s = scenario.from_s + np.concatenate(
        [
            hold_s * n
            + np.sort(np.random.default_rng(n).uniform(0, hold_s, round(rate_rps * hold_s)))
            for n, rate_rps in enumerate(levels_rps)
        ]
    )
    until_s = scenario.from_s + hold_s * len(levels_rps)
    load = Arrivals(at_s, np.zeros(at_s.size, np.int32), ("/",))
    exact = msgspec.structs.replace(scenario, load=load, to_s=until_s)
    done = run_job(Job(Trial(exact, (), scenario.from_s, 1, 0.5)))
    exact_h = replica_hours(done.outcome.course.running, scenario.from_s, until_s)
    own = scenario.settings
    service_s = float(np.mean(np.concatenate(scenario.service.works_s)))
    start_s = float(np.median(scenario.starts.starts_s))
    made = Fleet(own, own.max_ongoing / service_s, service_s, start_s)
    turn_s = turn_of(own)
    came = np.histogram(at_s, np.arange(scenario.from_s, until_s + turn_s / 2, turn_s))[0]
    autoscaler = RayAutoscaler({own.key: own.info})
    course = CoarseSimulation(made, autoscaler, turn_s).run(came.tolist())
    return BothHours(
        sum(one.replica_hours for one in fleet_hours(course, made.capacity_rps)), exact_h
    )
