"""The embedded cluster's own process: `python -m scalelag.cluster.embedded_main CPUS [SERVICER ...]`.

It starts Ray and Serve on free ports of 127.0.0.1, prints one JSON line with their URLs, and waits
for its standard input to close. It does not use gevent. If it is killed, its Ray ends too. Serve
answers gRPC if SERVICERs (its `grpc_servicer_functions`) are given.
"""

import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from functools import partialmethod
from pathlib import Path
from types import ModuleType

import ray
from ray import serve
from ray._private import ray_constants, services
from ray._private.parameter import RayParams
from ray.serve._private import default_impl
from ray.serve.config import gRPCOptions

from scalelag.cluster.ports import free_port

# Ray's worker processes listen on ports from 10002 to 19999.
_WORKER_PORTS = range(10002, 20000)
_METRIC_PORTS = ("DASHBOARD_METRIC_PORT", "AUTOSCALER_METRIC_PORT")
_HAPROXY_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "s",  # with a folder for the node, at most 97 characters
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}
_HAPROXY_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
_NICE = 5


def _yield_to_the_load() -> None:
    """Lower the priority of the cluster: load shares this machine, and arrivals must be on time.

    If Linux groups processes by session (autogroup), nice values count only within a session. Then the
    whole session, which holds all of Ray, has a nice value of its own.
    """
    os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")


def _own_agent_port() -> None:
    """Let the dashboard's agent take any free port.

    On its default port, 52365, it fails if another Ray runs on this machine, and then this cluster
    gives no logs. `ray start` has an option for the port; `ray.init` has none.
    """
    RayParams.__init__ = partialmethod(RayParams.__init__, dashboard_agent_listen_port=0)  # pyright: ignore[reportAttributeAccessIssue]


def _own_metric_ports() -> None:
    """Let the dashboard and the autoscaler export metrics on free ports.

    Ray has the same two ports for every cluster of a machine, and exports nothing if they are taken.
    """
    for name in _METRIC_PORTS:
        os.environ[name] = str(free_port(avoid=_WORKER_PORTS))


def own_haproxy(folder: str) -> None:
    """Give HAProxy, if it stands in for Serve's proxy, files and ports of this cluster alone.

    Ray has the same for every cluster of a machine.
    """
    home = Path(folder, "h")
    for name, file in _HAPROXY_FILES.items():
        os.environ.setdefault(name, str(home / file))
    for name in _HAPROXY_PORTS:
        os.environ.setdefault(name, str(free_port(avoid=_WORKER_PORTS)))


class _LongerSleeps(ModuleType):
    """The module `time` with longer pauses, for code that counts its pauses."""

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Sleep for half a second at least."""
        time.sleep(max(seconds, 0.5))


def _wait_longer_for_the_dashboard() -> None:
    """Let an older Ray wait for its dashboard for 100 s instead of 20.

    It looks 200 times, 0.1 s apart (`start_api_server`); later ones have a variable for it.
    """
    if not hasattr(ray_constants, "RAY_DASHBOARD_STARTUP_TIMEOUT_S"):
        services.time = _LongerSleeps("time")  # pyright: ignore[reportPrivateImportUsage]


def grpc_on_loopback() -> None:
    """Make the gRPC server of Serve's proxy listen only on 127.0.0.1.

    Serve has no option for that. It calls this in the proxy's process, before the server starts.
    """
    default_impl.add_grpc_address = lambda server, address: server.add_insecure_port(
        address.replace("[::]", "127.0.0.1")
    )


def _grpc_options(servicers: list[str]) -> gRPCOptions:
    """Options with a free port. Exits if a servicer function cannot be imported.

    Exits, too, where Serve would listen on every address, as before Ray 2.40.
    """
    if not hasattr(default_impl, "add_grpc_address"):
        sys.exit(
            f"gRPC: Serve of Ray {ray.__version__} cannot be kept to 127.0.0.1; 2.40 and later can"
        )
    options = gRPCOptions(port=free_port(avoid=_WORKER_PORTS), grpc_servicer_functions=servicers)
    try:
        assert options.grpc_servicer_func_callable
    except (ImportError, AttributeError, ValueError) as error:
        # Serve itself would restart its proxy again and again.
        sys.exit(f"grpc_servicer_functions: {error}")
    os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = (
        f"scalelag.cluster.embedded_main.{grpc_on_loopback.__name__}"
    )
    return options


def _start_ray(num_cpus: int, dashboard_port: int, folder: str) -> None:
    ray.init(
        address="local",
        num_cpus=num_cpus,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=dashboard_port,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
    )
    # As `ray start` does. Without it a job on this cluster may get the address of another cluster on
    # this machine.
    address = ray.get_runtime_context().gcs_address
    (Path(folder) / "ray_current_cluster").write_text(address, encoding="ascii")


def main() -> None:
    """Run the cluster until standard input closes."""
    # Ctrl-C goes to every process of the terminal; this one ends when its parent closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    _yield_to_the_load()
    _own_agent_port()
    _own_metric_ports()
    _wait_longer_for_the_dashboard()
    dashboard_port, serve_port = free_port(avoid=_WORKER_PORTS), free_port(avoid=_WORKER_PORTS)
    grpc_options = _grpc_options(sys.argv[2:]) if sys.argv[2:] else None
    # Not under /tmp/ray, whose `session_latest` belongs to any other Ray on this machine. Short, since
    # the path of a Unix socket has at most 107 characters.
    folder = tempfile.mkdtemp(prefix="scalelag-")
    own_haproxy(folder)
    try:
        _start_ray(int(sys.argv[1]), dashboard_port, folder)
        serve.start(
            http_options={"host": "127.0.0.1", "port": serve_port}, grpc_options=grpc_options
        )
        urls = {
            "dashboard": f"http://127.0.0.1:{dashboard_port}",
            "host": f"http://127.0.0.1:{serve_port}",
            "grpc_host": f"127.0.0.1:{grpc_options.port}" if grpc_options else None,
        }
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        serve.shutdown()
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
