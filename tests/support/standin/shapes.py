"""The parts of the dashboard's answers that change little: configuration, actors, health, nodes.

Keys and most values are those of a real Ray 2.60.0.
"""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from tests.support.standin.script import HEAD_NODE_ID, DeploymentScript, Script, has_come, state_at

CONTROL_LOOP_S: Final = 0.106  # 0.1 s of sleep, and the work of a small cluster

# What Ray 2.10 did not have yet. `controller_info.log_file_path` it did have: that goes too, so
# that a reader is seen to do without.
NEWER_THAN_2_10: Final = frozenset(
    {
        *("controller_health_metrics", "target_groups", "restores_unset_config_options"),
        *("source", "external_scaler_enabled", "deployment_topology"),
        *("required_resources", "recent_dead_replicas", "node_instance_id"),
        *("backpressure_config", "max_queued_requests", "request_router_config"),
        *("rolling_update_percentage", "max_surge_percent"),
        *("aggregation_function", "policy", "downscale_to_zero_delay_s"),
        *("upscaling_factor", "downscaling_factor"),
    }
)

Body = dict[str, Any]


@lru_cache(maxsize=10_000)
def hex_id(name: str, length: int) -> str:
    """An id of `length` hex digits, always the same for a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:length]


def node_ids(script: Script) -> list[str]:
    """The head node, then every other node that a replica of the script ever runs on."""
    deployments = [d for app in script.applications.values() for d in app.values()]
    replicas = [replica for deployment in deployments for replica in deployment.replicas]
    return list(dict.fromkeys([HEAD_NODE_ID, *(replica.node_id for replica in replicas)]))


@lru_cache(maxsize=10_000)
def node_ip(node_id: str) -> str:
    """An address from a block kept for documentation, always the same for a node."""
    return f"192.0.2.{1 + int(hex_id(node_id, 8), 16) % 254}"


def controller_info(started_s: float) -> Body:
    """The controller's actor; a restarted one has a new worker and log file, and the old actor."""
    place = {"node_id": HEAD_NODE_ID, "node_ip": node_ip(HEAD_NODE_ID), "node_instance_id": ""}
    return place | {
        "actor_id": hex_id("controller", 24) + "01000000",
        "actor_name": "SERVE_CONTROLLER_ACTOR",
        "worker_id": hex_id(f"controller {started_s}", 56),
        "log_file_path": f"/serve/controller_{int(hex_id(str(started_s), 4), 16)}.log",
    }


def proxy(node_id: str) -> Body:
    """A healthy proxy on a node."""
    return {
        "node_id": node_id,
        "node_ip": node_ip(node_id),
        "node_instance_id": "",
        "actor_id": hex_id(f"proxy {node_id}", 24) + "01000000",
        "actor_name": f"SERVE_PROXY_ACTOR-{node_id}",
        "worker_id": hex_id(f"proxy worker {node_id}", 56),
        "log_file_path": f"/serve/proxy_{node_ip(node_id)}.log",
        "status": "HEALTHY",
    }


def target_group(nodes: list[str], port: int) -> Body:
    """Targets for load balancers: the proxies on these nodes."""
    targets = [
        {
            "ip": node_ip(node),
            "port": port,
            "instance_id": "",
            "name": f"SERVE_PROXY_ACTOR-{node}",
        }
        for node in nodes
    ]
    return {
        "targets": targets,
        "route_prefix": "/",
        "protocol": "HTTP",
        "app_name": "",
        "ingress_request_router_targets": [],
        "ingress_deployment_name": "",
    }


def deployment_config(script: DeploymentScript, name: str, target: int) -> Body:
    """The deployment's options; with a fixed number of replicas, that is `target`."""
    autoscaling = script.autoscaling
    scaling: Body = (
        {"num_replicas": target}
        if autoscaling is None
        else {"autoscaling_config": _autoscaling_config() | autoscaling}
    )
    num_cpus = script.required_resources.get("CPU", 0.0)
    return {
        "name": name,
        "max_ongoing_requests": 5,
        "max_queued_requests": -1,
        "backpressure_config": {"status_code": 503, "retry_after_s": None},
        "user_config": None,
        **scaling,
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": 20.0,
        "health_check_period_s": 10.0,
        "health_check_timeout_s": 30.0,
        "ray_actor_options": {"num_cpus": num_cpus},
        "request_router_config": _request_router_config(),
        "rolling_update_percentage": 0.2,
        "max_surge_percent": 0,
        **script.config,
    }


def _autoscaling_config() -> Body:
    policy = "ray.serve.autoscaling_policy:default_autoscaling_policy"
    return {
        "min_replicas": 1,
        "initial_replicas": None,
        "max_replicas": 10,
        "target_ongoing_requests": 2.0,
        "metrics_interval_s": 1.0,
        "look_back_period_s": 2.0,
        "smoothing_factor": 1.0,
        "upscale_smoothing_factor": None,
        "downscale_smoothing_factor": None,
        "upscaling_factor": None,
        "downscaling_factor": None,
        "downscale_delay_s": 3.0,
        "downscale_to_zero_delay_s": None,
        "upscale_delay_s": 2.0,
        "aggregation_function": "mean",
        "policy": {"policy_function": policy, "policy_kwargs": {}},
    }


def _request_router_config() -> Body:
    router = "ray.serve._private.request_router:PowerOfTwoChoicesRequestRouter"
    return {
        "request_router_class": router,
        "request_router_kwargs": {},
        "request_routing_stats_period_s": 10.0,
        "request_routing_stats_timeout_s": 30.0,
        "initial_backoff_s": 0.025,
        "backoff_multiplier": 2.0,
        "max_backoff_s": 0.5,
    }


def health_metrics(now_s: float, started_s: float) -> Body:
    """An unworried controller at `now_s` that is up since `started_s`, both on its own clock."""
    uptime_s = now_s - started_s
    loops = int(uptime_s / CONTROL_LOOP_S)
    return {
        "timestamp": now_s,
        "controller_start_time": started_s,
        "uptime_s": uptime_s,
        "last_control_loop_time": started_s + loops * CONTROL_LOOP_S,
        "num_control_loops": loops,
        "loop_duration_s": _stats(0.006, 0.002, 0.003, 0.02),
        "loops_per_second": loops / uptime_s if uptime_s > 0 else 0.0,
        "last_sleep_duration_s": 0.1004,
        "expected_sleep_duration_s": 0.1,
        "event_loop_delay_s": 0.0004,
        "num_asyncio_tasks": 8,
        "handle_ingest_duration_ms": _stats(0.34, 0.07, 0.2, 0.57),
        "replica_ingest_duration_ms": {},
        "metrics_decompress_duration_ms": {},
        "columnar_decode_duration_ms": _stats(0.16, 0.06, 0.1, 0.4),
        "handle_reports_received": int(uptime_s),
        "replica_reports_received": 0,
        "ingest_reports_received": int(uptime_s),
        "ingest_cpu_fraction": 0.0004,
        "deployment_state_update_duration_s": _stats(0.0027, 0.001, 0.0002, 0.01),
        "application_state_update_duration_s": _stats(0.0009, 0.0004, 0.0005, 0.002),
        "proxy_state_update_duration_s": _stats(3e-5, 4e-5, 2e-5, 4e-4),
        "node_update_duration_s": _stats(2e-5, 5e-6, 1e-5, 5e-5),
        "handle_metrics_delay_ms": _stats(2.8, 2.5, 1.6, 15.7),
        "replica_metrics_delay_ms": {},
        "process_memory_mb": 165.4,
    }


def _stats(mean: float, std: float, low: float, high: float) -> Body:
    return {"mean": mean, "std": std, "min": low, "max": high}


def as_2_10(body: Body) -> Body:
    """The same state as Ray 2.10 told it."""
    old = _without_newer(body)
    del old["controller_info"]["log_file_path"]
    return old | {"deploy_mode": "MULTI_APP"}


def _without_newer(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: v for key, v in value.items() if key not in NEWER_THAN_2_10}
        return {key: _without_newer(v) for key, v in kept.items()}
    return [_without_newer(item) for item in value] if isinstance(value, list) else value


def version_body(script: Script) -> Body:
    """The body of `GET /api/version`."""
    return {
        "version": "4",
        "ray_version": f"{script.schema}.0",
        "ray_commit": "0" * 40,
        "session_name": "session_standin",
    }


def nodes_body(script: Script) -> Body:
    """The body of `GET /api/v0/nodes`."""
    nodes = [
        {
            "node_id": node,
            "node_ip": node_ip(node),
            "is_head_node": node == HEAD_NODE_ID,
            "state": "ALIVE",
            "state_message": None,
            "node_name": node_ip(node),
            "resources_total": {"CPU": script.cpu_total, f"node:{node_ip(node)}": 1.0},
            "labels": {"ray.io/node-id": node},
        }
        for node in node_ids(script)
    ]
    counts = ("total", "num_after_truncation", "num_filtered")
    result = dict.fromkeys(counts, len(nodes)) | {"result": nodes}
    return {
        "result": True,
        "msg": "",
        "data": {"result": result | {"partial_failure_warning": "", "warnings": None}},
    }


def nodes_summary_body(script: Script, t_s: float) -> Body:
    """The body of `GET /nodes?view=summary`: of it, what is used of each node's CPUs."""
    used = dict.fromkeys(node_ids(script), 0.0)
    for deployment in (d for app in script.applications.values() for d in app.values()):
        for replica in deployment.replicas:
            if state_at(replica, t_s) is not None and has_come(replica.allocated_s, t_s):
                used[replica.node_id] += deployment.required_resources.get("CPU", 0.0)
    text = {node: f"{round(cpus, 6)}/{script.cpu_total} CPU" for node, cpus in used.items()}
    data = {"summary": _summaries(script), "nodeLogicalResources": text}
    return {"result": True, "msg": "Node summary fetched.", "data": data}


def _summaries(script: Script) -> list[Body]:
    """A node for each metrics port; of what Ray tells, the addresses."""
    return [
        {
            "hostname": "node",
            "ip": "127.0.0.1",
            "raylet": {
                "nodeManagerAddress": "127.0.0.1",
                "metricsExportPort": int(address.rpartition(":")[2]),
                "state": "ALIVE",
            },
        }
        for address in script.metrics_ports
    ]


def metrics_ports_body(script: Script) -> list[Body]:
    """The body of `GET /api/prometheus/sd`."""
    return [{"labels": {"job": "ray"}, "targets": [*script.metrics_ports, *script.listed_ports]}]


def cluster_status_body(script: Script, t_s: float, zero_s: float) -> Body:
    """The body of `GET /api/cluster_status?format=1`: the text of `ray status` in JSON."""
    used, waiting = 0.0, dict[str, int]()
    for deployment in (d for app in script.applications.values() for d in app.values()):
        for replica in deployment.replicas:
            if state_at(replica, t_s) is None:
                continue
            if has_come(replica.allocated_s, t_s):
                used += deployment.required_resources.get("CPU", 0.0)
            else:
                demand = str(deployment.required_resources)
                waiting[demand] = waiting.get(demand, 0) + 1
    text = _status_text(script, zero_s + script.clock_offset_s + t_s, used, waiting)
    msg = "Got formatted cluster status."
    return {"result": True, "msg": msg, "data": {"clusterStatus": text}}


def _status_text(script: Script, at_s: float, used: float, waiting: dict[str, int]) -> str:
    nodes = node_ids(script)
    # Ray writes the local time of the node, without a zone.
    when = datetime.fromtimestamp(at_s, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")
    demands = [f" {demand}: {n}+ pending tasks/actors" for demand, n in waiting.items()]
    rule = "-" * 63
    return "\n".join(
        [
            f"======== Autoscaler status: {when} ========",
            *("Node status", rule, "Active:"),
            *(f" 1 node_{node}" for node in nodes),
            *("Pending:", " (no pending nodes)", "Recent failures:", " (no failures)", ""),
            *("Resources", rule, "Total Usage:"),
            f" {round(used, 6)}/{script.cpu_total * len(nodes)} CPU",
            *(" 0B/15.31GiB memory", " 0B/6.56GiB object_store_memory", ""),
            *("From request_resources:", " (none)", "Pending Demands:"),
            *(demands or [" (no resource demands)"]),
        ]
    )
