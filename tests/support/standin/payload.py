"""The answer to `GET /api/serve/applications/` for a script at one instant: a pure function of both.

Shapes and values as seen on Ray 2.60.0. Fields that Ray has not set are absent, not null.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple

from tests.support.standin.script import (
    DeploymentScript,
    Fault,
    ReplicaScript,
    Script,
    has_come,
    last_restart,
    state_at,
)
from tests.support.standin.shapes import (
    as_2_10,
    controller_info,
    deployment_config,
    health_metrics,
    hex_id,
    node_ids,
    node_ip,
    proxy,
    target_group,
)

KEPT_DEAD_REPLICAS: Final = 10
# Seen on 2.60: recovered replicas get a start time just before the new controller's own.
RECOVERED_BEFORE_S: Final = 0.008

Body = dict[str, Any]


class Moment(NamedTuple):
    """One look at a script; `clock_s` is time zero on the cluster's clock, in Unix seconds."""

    script: Script
    t_s: float
    clock_s: float
    restart: Fault | None

    @property
    def recovering(self) -> bool:
        """True if the controller has restarted and does not know its replicas yet."""
        restart = self.restart
        return restart is not None and self.t_s < restart.start_s + (restart.seconds or 0.0)


def payload_at(script: Script, t_s: float, zero_s: float = 0.0) -> Body:
    """The body when it is evaluated `t_s` after time zero, which is `zero_s` in Unix seconds.

    Times in the body are on the cluster's clock.
    """
    if not script.serve_started:
        return {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}
    now = Moment(script, t_s, zero_s + script.clock_offset_s, last_restart(script, t_s))
    started_s = -script.controller_age_s if now.restart is None else now.restart.start_s
    # Seen on 2.60: a controller that has just restarted knows no proxies yet.
    nodes = [] if now.recovering else node_ids(script)
    body: Body = {
        "controller_info": controller_info(started_s),
        "proxy_location": "EveryNode",
        "http_options": {"host": "127.0.0.1", "port": script.http_port},
        "grpc_options": {},
        "proxies": {node: proxy(node) for node in nodes},
        "applications": {app: _application(now, app) for app in script.applications},
        "target_capacity": None,
        "target_groups": [target_group(nodes, script.http_port)],
        "controller_health_metrics": health_metrics(now.clock_s + t_s, now.clock_s + started_s)
        | script.health,
        "restores_unset_config_options": True,
    }
    return body if script.schema == "2.60" else as_2_10(body)


def _application(now: Moment, app: str) -> Body:
    scripts = now.script.applications[app]
    deployments = {name: _deployment(now, app, name) for name in scripts}
    statuses = {deployment["status"] for deployment in deployments.values()}
    worst = {"DEPLOY_FAILED": "DEPLOY_FAILED", "UNHEALTHY": "UNHEALTHY", "UPDATING": "DEPLOYING"}
    first_s = min((d.targets[0][0] for d in scripts.values() if d.targets), default=0.0)
    ingress = next(iter(scripts), None)
    return {
        "name": app,
        "route_prefix": "/" if app == next(iter(now.script.applications)) else f"/{app}",
        "docs_path": None,
        "status": next((worst[status] for status in worst if status in statuses), "RUNNING"),
        "message": "",
        "last_deployed_time_s": now.clock_s + (now.restart.start_s if now.restart else first_s),
        "deployed_app_config": None,
        "source": "imperative",
        "deployments": deployments,
        "external_scaler_enabled": False,
        "deployment_topology": {
            "app_name": app,
            "nodes": {name: _topology_node(app, name, ingress) for name in scripts},
            "ingress_deployment": ingress,
        },
    }


def _topology_node(app: str, name: str, ingress: str | None) -> Body:
    place = {"name": name, "app_name": app}
    return place | {"outbound_deployments": [], "is_ingress": name == ingress}


def _deployment(now: Moment, app: str, name: str) -> Body:
    script = now.script.applications[app][name]
    old, target, changed_s = _target(script, now.t_s)
    states = [(replica, state_at(replica, now.t_s, now.restart)) for replica in script.replicas]
    listed = [(replica, state) for replica, state in states if state is not None]
    settled = [state for _, state in listed] == ["RUNNING"] * target
    status, trigger, message = _status(now, script, (old, target, changed_s), settled=settled)
    return {
        "name": name,
        "status": status,
        "status_trigger": trigger,
        "message": message,
        "deployment_config": deployment_config(script, name, target),
        "target_num_replicas": target,
        "required_resources": script.required_resources,
        "replicas": [_replica(now, app, name, replica, state) for replica, state in listed],
        "recent_dead_replicas": [
            _replica(now, app, name, replica, "STOPPED") for replica in _recent_dead(now, script)
        ],
    }


def _target(script: DeploymentScript, t_s: float) -> tuple[int | None, int, float]:
    """The target before the last change up to `t_s`, the target since, and when it changed.

    The first is None where nothing has changed since it was deployed; the target of a deployment
    yet to come is 0.
    """
    past = [change for change in script.targets if change[0] <= t_s]
    if not past:
        return None, 0, t_s
    changed_s, target = past[-1]
    return (past[-2][1] if len(past) > 1 else None), target, changed_s


def _status(
    now: Moment,
    script: DeploymentScript,
    change: tuple[int | None, int, float],
    *,
    settled: bool,
) -> tuple[str, str, str]:
    """Serve's status, its trigger and its message."""
    for override in script.statuses:
        if override.at_s <= now.t_s < override.until_s:
            return override.status, override.status_trigger, override.message
    old, target, changed_s = change
    if old is None or (now.restart is not None and now.restart.start_s > changed_s):
        state = ("HEALTHY", "COMPLETED") if settled else ("UPDATING", "STARTED")
        return state[0], f"CONFIG_UPDATE_{state[1]}", ""
    up = target > old
    if settled:
        return "HEALTHY", "UPSCALE_COMPLETED" if up else "DOWNSCALE_COMPLETED", ""
    word = "Upscaling" if up else "Downscaling"
    return word.upper(), "AUTOSCALING", f"{word} from {old} to {target} replicas."


def _replica(now: Moment, app: str, name: str, replica: ReplicaScript, state: str) -> Body:
    if has_come(replica.allocated_s, now.t_s):
        fields = _allocated(app, name, replica.replica_id, replica.node_id)
    else:
        fields = {"actor_name": _actor_name(app, name, replica.replica_id)}
    start_s = replica.created_s
    if now.restart is not None and replica.created_s < now.restart.start_s:
        start_s = now.restart.start_s - RECOVERED_BEFORE_S
    return {
        **fields,
        "replica_id": replica.replica_id,
        "state": state,
        **({"pid": _pid(replica.replica_id)} if "node_id" in fields else {}),
        "start_time_s": now.clock_s + start_s,
    }


@lru_cache(maxsize=10_000)
def _allocated(app: str, name: str, replica_id: str, node: str) -> Body:
    """Fields of an allocated replica; shared between bodies, not to be changed."""
    return {
        "node_id": node,
        "node_ip": node_ip(node),
        "node_instance_id": "",
        "actor_id": hex_id(f"actor {app} {name} {replica_id}", 24) + "01000000",
        "actor_name": _actor_name(app, name, replica_id),
        "worker_id": hex_id(f"worker {app} {name} {replica_id}", 56),
        "log_file_path": f"/serve/replica_{app}_{name}_{replica_id}.log",
    }


def _actor_name(app: str, name: str, replica_id: str) -> str:
    return f"SERVE_REPLICA::{app}#{name}#{replica_id}"


@lru_cache(maxsize=10_000)
def _pid(replica_id: str) -> int:
    return 2000 + int(hex_id(replica_id, 8), 16) % 30_000


def _recent_dead(now: Moment, script: DeploymentScript) -> list[ReplicaScript]:
    """The last allocated replicas that went, oldest first; a restarted controller forgets them."""
    since_s = float("-inf") if now.restart is None else now.restart.start_s
    dead = [
        (replica.gone_s, index)
        for index, replica in enumerate(script.replicas)
        if replica.gone_s is not None
        and since_s < replica.gone_s <= now.t_s
        and has_come(replica.allocated_s, replica.gone_s)
    ]
    return [script.replicas[index] for _, index in sorted(dead)[-KEPT_DEAD_REPLICAS:]]
