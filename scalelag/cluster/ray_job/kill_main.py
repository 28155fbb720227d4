"""Ends processes of Serve at a given time. Its text is the entrypoint of a Ray job: `python -c TEXT`.

A Ray driver that imports Ray and nothing of scalelag, which need not be installed on the cluster. The
order is its argument, as JSON. It looks for its victims two seconds ahead, waits for its time on the
cluster's clock, kills, and writes what it did, a JSON object a line: `ready`, then `begun` and `ended`
(Unix seconds), `lost` (ids of replicas), `node` and `problem`. Replicas on its own node have gone when
it ends; those elsewhere may take some milliseconds more.
"""

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_CONTROLLER = "SERVE_CONTROLLER_ACTOR"
_NAMESPACE = "serve"
_HEAD = "node:__internal_head__"
_AHEAD_S = 2.0
_ANSWER_S = 20.0
_NODE_ANSWER_S = 2.0
_GONE_S = 5.0
_LOOK_AFTER_S = 0.005


class NodeEnd:
    """An actor on the node that is to go: it ends the node's raylet, whose workers end with it."""

    def raylet(self) -> int:
        """Process of the node's raylet, which this worker descends from; 0 if it is not found."""
        pid = os.getpid()
        while pid > 1:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            pid = int(stat.rpartition(")")[2].split()[1])
            if b"raylet" in Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]:
                return pid
        return 0

    def end(self) -> None:
        """Kill it, if it is found: 0 would be the whole group of this process."""
        pid = self.raylet()
        if pid:
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Carry out the order in the first argument."""
    order = json.loads(sys.argv[1])
    ray.init(logging_level=logging.ERROR)
    _check_cluster(order.get("session"))
    _tell(ready=time.time())
    _sleep_until(order["at"] - _AHEAD_S)
    kill, lost, node = _PLANS[order["kind"]](order)
    _sleep_until(order["at"])
    begun = time.time()
    kill()
    _tell(begun=begun, ended=time.time(), lost=lost, node=node, problem=_too_few(order, lost))


def _check_cluster(session: str | None) -> None:
    """Give up if this is another cluster than the one asked for, since Ray may guess wrong."""
    context = ray.get_runtime_context()
    here = context.get_session_name() if hasattr(context, "get_session_name") else session
    if session is not None and here != session:
        _give_up(f"Ray gave the job the address of another cluster ({here}, not {session})")


def _kill_replicas(order: dict[str, Any]) -> Any:  # noqa: ANN401
    """Kill the oldest that live: Serve lists one that has died until its next health check."""
    here = ray.get_runtime_context().get_node_id()
    found: dict[str, Any] = {}
    pids: list[int] = []
    for one in _running(order):
        if len(found) < order["count"]:
            with contextlib.suppress(ValueError):
                actor = ray.get_actor(one["actor_name"], namespace=_NAMESPACE)
                found[str(one["replica_id"])] = actor
                if one.get("node_id") == here and one.get("pid"):
                    pids.append(one["pid"])
    if not found:
        _give_up(f"no RUNNING replica of {order['deployment']} lives any more")

    def kill() -> None:
        for actor in found.values():
            ray.kill(actor)
        _wait_until_gone(pids)

    return kill, list(found), None


def _wait_until_gone(pids: list[int]) -> None:
    """Wait for the end of these processes: on a busy machine they outlive `ray.kill` by some 0.5 s."""
    last = time.monotonic() + _GONE_S
    while any(_lives(pid) for pid in pids) and time.monotonic() < last:
        time.sleep(_LOOK_AFTER_S)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def _kill_node(order: dict[str, Any]) -> Any:  # noqa: ANN401
    heads = {str(node["NodeID"]) for node in ray.nodes() if node["Resources"].get(_HEAD)}
    by_node: dict[str, list[str]] = {}
    for one in _running(order):
        if one["node_id"] not in heads:
            by_node.setdefault(str(one["node_id"]), []).append(one["replica_id"])
    if not by_node:
        _give_up(
            f"every RUNNING replica of {order['deployment']} is on the head node, and the cluster ends "
            "with that"
        )
    node = max(by_node, key=lambda name: (len(by_node[name]), name))
    place = NodeAffinitySchedulingStrategy(node, soft=False)
    actor: Any = ray.remote(num_cpus=0, max_restarts=0)(NodeEnd)
    ender = actor.options(scheduling_strategy=place).remote()
    if not ray.get(ender.raylet.remote(), timeout=_ANSWER_S):
        _give_up(f"the raylet of node {node} was not found among the processes there")

    def kill() -> None:
        ray.wait([ender.end.remote()], timeout=_NODE_ANSWER_S)

    return kill, by_node[node], node


def _kill_controller(_order: dict[str, Any]) -> Any:  # noqa: ANN401
    controller = ray.get_actor(_CONTROLLER, namespace=_NAMESPACE)
    return lambda: ray.kill(controller, no_restart=False), [], None


def _kill_proxy(_order: dict[str, Any]) -> Any:  # noqa: ANN401
    """Kill the proxy of the head node, where the load usually goes; else of the first one."""
    heads = {str(node["NodeID"]) for node in ray.nodes() if node["Resources"].get(_HEAD)}
    proxies: dict[str, Any] = _details().get("proxies") or {}
    if not proxies:
        _give_up("Serve has no proxy")
    node = min(proxies, key=lambda name: (name not in heads, name))
    proxy = ray.get_actor(proxies[node]["actor_name"], namespace=_NAMESPACE)
    return lambda: ray.kill(proxy, no_restart=False), [], node


_PLANS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "kill_replicas": _kill_replicas,
    "kill_node": _kill_node,
    "kill_controller": _kill_controller,
    "kill_proxy": _kill_proxy,
}


def _running(order: dict[str, Any]) -> list[dict[str, Any]]:
    """RUNNING replicas of the deployment, the oldest first."""
    deployments = _details()["applications"].get(order["app"], {}).get("deployments", {})
    replicas = deployments.get(order["name"], {}).get("replicas", [])
    found = [one for one in replicas if getattr(one["state"], "value", one["state"]) == "RUNNING"]
    if not found:
        _give_up(f"{order['deployment']} has no RUNNING replica")
    return sorted(found, key=lambda one: (one.get("start_time_s") or 0.0, one["replica_id"]))


def _details() -> dict[str, Any]:
    """Serve's state, as its REST API has it."""
    controller = ray.get_actor(_CONTROLLER, namespace=_NAMESPACE)
    details: Any = ray.get(controller.get_serve_instance_details.remote(), timeout=_ANSWER_S)
    return details


def _too_few(order: dict[str, Any], lost: list[str]) -> str | None:
    wanted = order.get("count") or 0
    return f"only {len(lost)} of {wanted} were RUNNING" if len(lost) < wanted else None


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


def _give_up(problem: str) -> NoReturn:
    _tell(problem=problem)
    sys.exit(0)


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
