"""A Ray cluster that starts nodes on demand: Ray's own autoscaler with its fake provider.

Each node that it starts is a real raylet on this machine, with resources of its own.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Generator, Mapping
from typing import Any, Final

from probes.dashboard import Dashboard
from tests.support.ports import free_port
from tools.diagnosis.ray_start import (
    OBJECT_STORE_BYTES,
    environment,
    head_options,
    private_folder,
    ray_start,
    start_serve,
)

WORKER_RESOURCES: Final = {"CPU": 2, "worker_only": 2}
UPDATE_INTERVAL_S: Final = 1
# The autoscaler wants them all to be there.
EMPTY_KEYS: Final[Mapping[str, object]] = {
    "auth": {},
    "docker": {},
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
}


class NodeAutoscaler:
    """A running cluster; a deployment that needs `worker_only` gets a node started for it."""

    def __init__(self, dashboard_port: int, host_port: int) -> None:
        self.dashboard = f"http://127.0.0.1:{dashboard_port}"
        self.host = f"http://127.0.0.1:{host_port}"
        self.token = secrets.token_hex(32)


@contextlib.contextmanager
def node_autoscaler(
    *, max_workers: int = 3, idle_timeout_s: float = 60.0, cpus: int = 4
) -> Generator[NodeAutoscaler]:
    """A head with `cpus` CPUs and Serve on it, no application and no other node yet.

    Up to `max_workers` nodes with WORKER_RESOURCES are started on demand and taken away when idle
    for `idle_timeout_s`. All of it is gone afterwards. Raises FaultToolError where it does not start.
    """
    dashboard_port, host_port, gcs_port = free_port(), free_port(), free_port()
    cluster = NodeAutoscaler(dashboard_port, host_port)
    config = provider_config(f"127.0.0.1:{gcs_port}", max_workers, idle_timeout_s, cpus)
    environ = environment(
        cluster.token,
        RAY_FAKE_CLUSTER="1",
        AUTOSCALER_UPDATE_INTERVAL_S=str(UPDATE_INTERVAL_S),
    )
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        file = folder / "autoscaler.yaml"
        file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        options = [
            *head_options(folder, "127.0.0.1", gcs_port, dashboard_port),
            f"--num-cpus={cpus}",
            f"--autoscaling-config={file}",
        ]
        head = stack.enter_context(ray_start(options, environ, folder))
        dashboard = Dashboard(cluster.dashboard, time.time, cluster.token)
        stack.callback(dashboard.close)
        start_serve(dashboard, host_port, "HeadOnly", [head])
        yield cluster


def provider_config(
    gcs_address: str, max_workers: int, idle_timeout_s: float, cpus: int
) -> dict[str, Any]:
    """Content of the file for `--autoscaling-config`."""
    worker = {
        "resources": {**WORKER_RESOURCES, "object_store_memory": OBJECT_STORE_BYTES},
        "node_config": {},
        "min_workers": 0,
        "max_workers": max_workers,
    }
    head = {"resources": {"CPU": cpus}, "node_config": {}, "max_workers": 0}
    return {
        "cluster_name": "scalelag-tests",
        "max_workers": max_workers,
        "idle_timeout_minutes": idle_timeout_s / 60,
        "upscaling_speed": 1.0,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": gcs_address,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",  # the name that the provider gives its head
        "available_node_types": {"ray.head.default": head, "worker": worker},
        **EMPTY_KEYS,
    }
