"""Scenarios of a simulation whose outcomes can be worked out by hand, and an autoscaler with a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from reports.analysis.lag.policy import policy_of
from reports.whatif.autoscaler import HandleReport
from reports.whatif.scenario import Arrivals, Load, Scenario, Users, settings_of
from reports.whatif.service_times import ServiceTimes
from reports.whatif.simulate import SimulatedRun, Simulation
from reports.whatif.start_up import StartUps
from scalelag.record.deployment_info import DeploymentInfo

KEY = "app/D"
T0 = 1_800_000_000.0


class Planned:
    """An autoscaler whose targets are planned: each from its second on."""

    def __init__(self, targets: Mapping[float, int]) -> None:
        self.targets = targets
        self.reports: list[HandleReport] = []

    def report(self, report: HandleReport) -> None:
        self.reports.append(report)

    def set_running(self, deployment: str, replicas: Sequence[str]) -> None:
        assert deployment == KEY
        self.running = list(replicas)

    def decide(self, now_s: float, targets: Mapping[str, int]) -> Mapping[str, int]:
        due = [number for at_s, number in self.targets.items() if T0 + at_s <= now_s]
        return {KEY: due[-1] if due else targets[KEY]}


def arrivals(*at_s: float) -> Arrivals:
    return Arrivals(np.array(at_s) + T0, np.zeros(len(at_s), np.int32), ("/",))


def scenario(load: Load, *, to_s: float = 30.0, work_s: float = 1.0, **more: Any) -> Scenario:
    config = {"max_ongoing_requests": 5, "graceful_shutdown_wait_loop_s": 2.0}
    config |= more.pop("config", {})
    info = DeploymentInfo(
        autoscaling={
            "min_replicas": 0,
            "max_replicas": 10,
            "metrics_interval_s": 1.0,
            "look_back_period_s": 5.0,
        },
        config=config,
    )
    policy = policy_of(info, "2.60.0")
    assert policy is not None
    made = Scenario(
        settings=settings_of(KEY, info, policy),
        load=load,
        service=ServiceTimes((np.full(3, work_s),), 0.0, 1.0, varied=True, requests=3),
        starts=StartUps((3.0,), route_s=0.0, stop_s=0.0, end_s=0.5),
        from_s=T0 - 1,
        to_s=T0 + to_s,
        replicas=1,
        target=1,
        loop_s=0.1,
        max_in_flight=1000,
        timeout_s=30.0,
    )
    service = msgspec.structs.replace(made.service, sharing=more.pop("sharing", 0.0))
    return msgspec.structs.replace(made, service=service, **more)


def run(made: Scenario, autoscaler: Planned | None = None, seed: int = 1) -> SimulatedRun:
    return Simulation(made, autoscaler or Planned({}), seed, phase=0.0).run()


def users(pause_s: float, mix: Sequence[int] = (0,)) -> Users:
    names = tuple(f"/{code}" for code in range(max(mix) + 1))
    return Users((T0, T0 + 10.0), (4, 0), pause_s, names, np.array(mix, np.int32))
