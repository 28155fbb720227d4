"""Ready-made scripts: one steady deployment, and random timelines of scaling up and down."""

import random
import string
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.support.standin.script import DeploymentScript, ReplicaScript, Script


def steady_replica(replica_id: str = "aaaaaaaa") -> ReplicaScript:
    """A replica that has been RUNNING since before time zero and stays."""
    return ReplicaScript(replica_id, -60.0, -59.0, -58.0)


def one_deployment(*replicas: ReplicaScript, target: int = 1, **options: Any) -> Script:
    """`default/Model` with these replicas and one target for good; `options` are the script's."""
    deployment = DeploymentScript(targets=((-60.0, target),), replicas=replicas)
    return Script(applications={"default": {"Model": deployment}}, **options)


def random_script(
    seed: int,
    *,
    deployments: int = 1,
    duration_s: float = 20.0,
    step_up_s: float | None = None,
    step_down_s: float | None = None,
) -> Script:
    """A consistent cluster in which every deployment goes up after one load step and down again.

    Load steps are at 20 % and 60 % of `duration_s` unless given. Phases last from nothing, over a
    blink that no poll can see, to seconds; some replicas share their times exactly. Everything has
    settled before the next step, or the end. The same seed gives the same script.
    """
    rng = random.Random(seed)
    up_s = 0.2 * duration_s if step_up_s is None else step_up_s
    down_s = 0.6 * duration_s if step_down_s is None else step_down_s
    names = [f"Model{index}" for index in range(deployments)]
    timelines = {name: _random_deployment(rng, up_s, down_s, duration_s) for name in names}
    return Script(applications={"default": timelines})


def _random_deployment(
    rng: random.Random, up_s: float, down_s: float, end_s: float
) -> DeploymentScript:
    low, high = (few := rng.randint(1, 3)), few + rng.randint(1, 6)
    grown_s = up_s + _phase(rng, 0.25 * (down_s - up_s))
    shrunk_s = down_s + _phase(rng, 0.25 * (end_s - down_s))
    old = [ReplicaScript(_replica_id(rng), -30.0, -29.0, -28.0) for _ in range(low)]
    new = _started(rng, high - low, grown_s, 0.24 * (down_s - up_s))
    stopped = {replica.replica_id for replica in rng.sample(old + new, high - low)}
    kept = [replica for replica in old + new if replica.replica_id not in stopped]
    leaving = [replica for replica in old + new if replica.replica_id in stopped]
    gone = _stopped(rng, leaving, shrunk_s, 0.35 * (end_s - down_s))
    return DeploymentScript(
        targets=((-30.0, low), (grown_s, high), (shrunk_s, low)),
        replicas=tuple(sorted(kept + gone, key=lambda replica: replica.created_s)),
        autoscaling={"min_replicas": low, "max_replicas": high},
        step_up_s=up_s,
        step_down_s=down_s,
    )


def _started(rng: random.Random, n: int, from_s: float, longest_s: float) -> list[ReplicaScript]:
    """`n` replicas created after `from_s`, each of their three phases at most `longest_s` long."""
    together_s = _phase(rng, longest_s) if rng.random() < 0.5 else None
    replicas: list[ReplicaScript] = []
    for _ in range(n):
        created_s = from_s + (_phase(rng, longest_s) if together_s is None else together_s)
        allocated_s = created_s + _phase(rng, longest_s)
        running_s = allocated_s + _phase(rng, longest_s)
        replicas.append(ReplicaScript(_replica_id(rng), created_s, allocated_s, running_s))
    return replicas


def _stopped(
    rng: random.Random, replicas: Iterable[ReplicaScript], from_s: float, longest_s: float
) -> list[ReplicaScript]:
    """The replicas, all stopping at one time after `from_s`; each then drains on its own."""
    stopping_s = from_s + _phase(rng, longest_s)
    return [
        msgspec.structs.replace(
            replica, stopping_s=stopping_s, gone_s=stopping_s + _phase(rng, longest_s)
        )
        for replica in replicas
    ]


def _phase(rng: random.Random, longest_s: float) -> float:
    """No time at all, a blink, a moment, or anything up to `longest_s`."""
    ceiling_s = rng.choices((0.0, 0.02, 0.3, longest_s), weights=(15, 25, 25, 35))[0]
    return rng.uniform(0.0, min(ceiling_s, longest_s))


def _replica_id(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase + string.digits, k=8))
