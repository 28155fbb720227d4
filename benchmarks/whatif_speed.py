"""Speed of simulations: `python -m benchmarks.whatif_speed`.

One exact simulation at 200 requests/s on one core, a search of 200 candidates over a run of three
minutes on all cores, a week at 50 requests/s in the coarse mode, and that mode's error.
"""

import time

import msgspec
import numpy as np

from benchmarks.table import parser
from reports.analysis.load.slo import parse_slo
from reports.whatif.fleet.by_hour import fleet_hours
from reports.whatif.fleet.coarse import CoarseSimulation, Fleet, turn_of
from reports.whatif.from_record import RecordedScenario, recorded_scenario, with_settings
from reports.whatif.repeat import Trial
from reports.whatif.scenario import Arrivals, Scenario
from reports.whatif.tuning.search import Task
from reports.whatif.tuning.space import info_of, space_of
from reports.whatif.tuning.tune import Wish, tuned
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.autoscaler.trials import Job, parallel, run_job
from scalelag.cli.whatif import WhatIfOptions, outcomes_of, prepare
from scalelag.plan.stages import LoadStep
from scalelag.record.run_dir import load_run
from tests.support.coarse_exact import DEMO, KEY, RAYS_PACE, coarse_and_exact

_RATE_RPS, _LOAD_S = 200.0, 180.0
_CANDIDATES = 200
_LEVELS = ((5, 60, 20, 90, 5), (5, 20, 40, 60, 20), (10, 30, 60, 40, 10), (20, 40, 80, 40))


def main() -> None:
    """Measure, and print one line each; the exact simulation as often as `--rounds` says."""
    options = parser(__doc__).parse_args()
    quiet_ray()
    recorded = recorded_scenario(load_run(DEMO), KEY)
    for _ in range(options.rounds):
        exact_speed(recorded)
    search_speed()
    week_speed(recorded)
    for levels in _LEVELS:
        for name, pace in (("1 s", {"max_replicas": 12}), ("10 s", RAYS_PACE)):
            found = coarse_and_exact(levels, pace)
            error = found.coarse_h / found.exact_h - 1
            print(f"coarse against exact, {levels} rps, pushes every {name}: {error:+.1%}")


def loaded(recorded: RecordedScenario, rate_rps: float) -> Scenario:
    """The demo's scenario with room for a constant rate, for three minutes."""
    info = info_of(recorded.scenario.settings.info, {"max_replicas": 40})
    scenario = with_settings(recorded.scenario, info, None)
    at_s = scenario.from_s + np.arange(0, _LOAD_S, 1 / rate_rps)
    load = Arrivals(at_s, np.zeros(at_s.size, np.int32), ("/",))
    return msgspec.structs.replace(scenario, load=load, to_s=scenario.from_s + _LOAD_S)


def exact_speed(recorded: RecordedScenario) -> None:
    """One repetition on one core, the first one not counted."""
    scenario = loaded(recorded, _RATE_RPS)
    trial = Trial(scenario, (), scenario.from_s, 1, 0.5)
    run_job(Job(trial))
    began_s = time.process_time()
    run_job(Job(trial))
    took_s = time.process_time() - began_s
    times = _LOAD_S / took_s
    print(f"exact, {_RATE_RPS:g} rps: {_LOAD_S:g} s in {took_s:.2f} s of CPU, {times:.0f} times")


def search_speed() -> None:
    """A search over three minutes with a step up and one down, on all cores."""
    run = load_run(DEMO)
    prepared = prepare(run, (), WhatIfOptions(slo="p95<400ms"))
    own = prepared.recorded.scenario
    levels, hold_s = (30, 120, 30), _LOAD_S / 3
    at_s = own.from_s + np.concatenate(
        [hold_s * n + np.arange(0, hold_s, 1 / rate_rps) for n, rate_rps in enumerate(levels)]
    )
    load = Arrivals(at_s, np.zeros(at_s.size, np.int32), ("/",))
    longer = msgspec.structs.replace(own, load=load, to_s=own.from_s + _LOAD_S)
    steps = (
        LoadStep(1, hold_s, 2 * hold_s, 30, 120),
        LoadStep(2, 2 * hold_s, 3 * hold_s, 120, 30),
    )
    with parallel(lambda: None) as jobs:
        replay = prepared.replayed(jobs, 1)
        task = Task(
            msgspec.structs.replace(prepared.recorded, scenario=longer),
            steps,
            parse_slo("p95<400ms"),
            space_of(own.settings, 4, ()),
            1,
            lambda _info: True,
        )
        began_s = time.perf_counter()
        found = tuned(
            replay, task, Wish(_CANDIDATES), lambda made: outcomes_of(jobs, made, None), ""
        )
        took_s = time.perf_counter() - began_s
    print(
        f"search, {_CANDIDATES} candidates, {_LOAD_S:g} s of {at_s.size:,} requests: {took_s:.0f} s, "
        f"{len(found.tried)} different ones, {len(found.found)} found"
    )


def week_speed(recorded: RecordedScenario) -> None:
    """A week at 50 requests/s, in the coarse mode."""
    own = recorded.scenario.settings
    for pace in ({"max_replicas": 12}, RAYS_PACE):
        scenario = with_settings(recorded.scenario, info_of(own.info, pace), None)
        settings = scenario.settings
        turn_s = turn_of(settings)
        hours = np.arange(0, 7 * 86_400, turn_s) / 3600
        came = turn_s * 50 * (1 + 0.8 * np.sin(hours / 24 * 2 * np.pi))
        made = Fleet(settings, 38.0, 0.208, 2.7)
        began_s = time.process_time()
        autoscaler = RayAutoscaler({settings.key: settings.info})
        fleet_hours(CoarseSimulation(made, autoscaler, turn_s).run(came.tolist()), 38.0)
        took_s = time.process_time() - began_s
        print(f"coarse, a week at 50 rps in steps of {turn_s:g} s: {took_s:.1f} s of CPU")


if __name__ == "__main__":
    main()
