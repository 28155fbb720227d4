"""Locust workers on a Ray cluster: `python -m scalelag.cluster.ray_job.driver_main --master ...`.

The entrypoint of a Ray job: a Ray driver, without gevent. It starts actors, spread over the nodes.
Each runs a Locust worker in a process of its own, which joins the master. The driver ends when the
workers have ended, when the job is stopped, or when the master is gone.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, GetTimeoutError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_PLACE_TIMEOUT_S = 60.0
_MASTER_START_S = 60.0
_MASTER_GONE_S = 5.0
_LOOK_S = 1.0


class LoadWorker:
    """An actor that runs one Locust worker.

    As part of the main module it is sent by value, so that a node without scalelag can report that.
    """

    def facts(self) -> dict[str, str | None]:
        """Address of the node, and its versions of scalelag and Locust; None if not installed."""
        found: dict[str, str | None] = {"node": ray.util.get_node_ip_address()}
        for name in ("scalelag", "locust"):
            found[name] = None
            if importlib.util.find_spec(name) is not None:
                with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                    found[name] = importlib.metadata.version(name)
        if importlib.util.find_spec("scalelag") is not None:
            found["scalelag"] = importlib.import_module("scalelag").__version__
        return found

    def run(self, host: str, port: int) -> int:
        """Run the worker to its end, and return its exit code."""
        module = "scalelag.cluster.ray_job.worker_main"
        arguments = [str(os.getpid()), host, str(port)]
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            check=False,
            # Not in the actor's group, which Ray kills when the actor ends.
            start_new_session=True,
        ).returncode


def main() -> None:
    """Run the workers until the load is over."""
    asked = _arguments()
    host, _, port = asked.master.rpartition(":")
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    ray.init(logging_level=logging.ERROR)
    _check_cluster(asked.session)
    # No CPU: a reserved one would be missing for replicas.
    actor: Any = ray.remote(num_cpus=0)(LoadWorker)
    # Hard affinity: with soft affinity two workers were both placed on the head node.
    places = [
        NodeAffinitySchedulingStrategy(node, soft=False)
        for node in in_turns(ray.nodes(), asked.workers)
    ]
    workers = [actor.options(scheduling_strategy=place).remote() for place in places]
    nodes = _nodes(workers, asked.version)
    runs = {worker.run.remote(host, int(port)): i for i, worker in enumerate(workers)}
    _watch(runs, nodes, host, int(port))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--master", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--version", required=True, help="scalelag's, at the master")
    parser.add_argument("--session", help="name that the cluster must have")
    return parser.parse_args()


def _check_cluster(session: str | None) -> None:
    """Exit if this is another cluster than the one asked for, since Ray may guess wrong."""
    context = ray.get_runtime_context()
    here = context.get_session_name() if hasattr(context, "get_session_name") else session
    if session is not None and here != session:
        sys.exit(
            f"Ray gave the job the address of another cluster ({here}, not {session}), since several "
            "run on the head's machine. Stop the others, or run one cluster per machine"
        )


def in_turns(nodes: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """Node ids for `count` workers: the living ones of Ray's `nodes`, in turns.

    Ray's own SPREAD gives no guarantee. A node without CPUs, which is often a head that shall do no
    work, is used only if there is no other.
    """
    alive = [node for node in nodes if node["Alive"]]
    for_work = [node for node in alive if node["Resources"].get("CPU")] or alive
    return [str(node["NodeID"]) for node in islice(cycle(for_work), count)]


def _nodes(workers: list[Any], version: str) -> list[str]:
    """Addresses of the workers' nodes. Exits if one of them cannot run a worker."""
    asked = [worker.facts.remote() for worker in workers]
    try:
        facts = ray.get(asked, timeout=_PLACE_TIMEOUT_S)
    except GetTimeoutError:
        sys.exit(
            f"no room: the cluster did not start {len(workers)} actors in {_PLACE_TIMEOUT_S:g} s. Use "
            "fewer workers, or add nodes"
        )
    except (RayActorError, ActorUnschedulableError) as error:
        sys.exit(f"an actor was lost before it could report the versions on its node: {error}")
    for one in facts:
        if lack := what_lacks(one, version):
            sys.exit(lack)
    for number, one in enumerate(facts):
        _say(f"load worker {number} starts on {one['node']}")
    return [one["node"] for one in facts]


def what_lacks(facts: dict[str, str | None], version: str) -> str | None:
    """Reason why a node cannot work for a master of `version`; None if it can."""
    node = facts["node"]
    missing = [name for name in ("scalelag", "locust") if facts[name] is None]
    if missing:
        return (
            f"node {node} has no {' and '.join(missing)}: install scalelag {version} on every node"
        )
    if facts["scalelag"] != version:
        return (
            f"node {node} has scalelag {facts['scalelag']}, and the master {version}: install the same "
            "version on every node"
        )
    return None


def _watch(runs: dict[Any, int], nodes: list[str], host: str, port: int) -> None:
    """Return when every worker has ended, or the master is gone."""
    gone_after_s = time.monotonic() + _MASTER_START_S
    while runs:
        done, _ = ray.wait(list(runs), timeout=_LOOK_S)
        for one in done:
            number = runs.pop(one)
            _say(f"load worker {number} on {nodes[number]} {_end_of(one)}")
        if _answers(host, port):
            gone_after_s = time.monotonic() + _MASTER_GONE_S
        elif time.monotonic() > gone_after_s:
            _say(
                f"no answer at {host}:{port}: the master is gone, or cannot be reached from this node"
            )
            return


def _end_of(run: Any) -> str:  # noqa: ANN401  Ray's ObjectRef
    try:
        return f"ended with exit code {ray.get(run)}"
    except RayActorError:
        return "was lost with its actor"


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_LOOK_S):
            return True
    except OSError:
        return False


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
