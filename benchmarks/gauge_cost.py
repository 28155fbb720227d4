"""CPU time of the controller and of the node's agent, with and without the third probe.

A real cluster with one idle application of three deployments; stretches with and without the probe
take turns. The agent answers on the metrics port; it exports every second, as in `scalelag run`.
"""

import sys
import time
from collections import defaultdict
from typing import Final

import psutil

from benchmarks.table import middle, parser, print_table
from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.gauges.metrics_port import MetricsPorts
from probes.gauges.port_list import PortList
from probes.gauges.ports_reader import PortsReader
from probes.pacing import Pacing
from scalelag.cluster.embedded import EmbeddedCluster
from tests.support.waiting import wait_for
from tools.diagnosis.processes import controller_pid

APP: Final = {
    "applications": [{"name": "default", "import_path": "serve_apps.pipeline:app", "args": {}}]
}
BUDGET: Final = 0.02
DEPLOY_S: Final = 120.0


def main() -> None:
    """Print the share of a core that each takes, the medians of the rounds."""
    options = parser(__doc__, rounds=3, seconds=20).parse_args()
    shares: dict[tuple[str, bool], list[float]] = defaultdict(list)
    readings: list[float] = []
    with EmbeddedCluster(4) as cluster:
        if cluster.urls is None:
            sys.exit("the cluster did not start")
        dashboard = Dashboard(cluster.urls.dashboard, time.time, cluster.token)
        dashboard.put(APPLICATIONS_PATH, APP)
        wait_for(lambda: b'"RUNNING"' in _state(dashboard), "the application", DEPLOY_S)
        processes = {"controller": psutil.Process(controller_pid(dashboard)), "agent": _agent()}
        for _ in range(options.rounds):
            for is_read in (False, True):
                begun = {name: _cpu_s(process) for name, process in processes.items()}
                count = _read_for(dashboard, options.seconds) if is_read else _idle(options.seconds)
                readings += [count / options.seconds] if is_read else []
                for name, process in processes.items():
                    spent_s = _cpu_s(process) - begun[name]
                    shares[name, is_read].append(100 * spent_s / options.seconds)
    print_table(
        ("process", "% of a core without", "% of a core with", "readings a second"),
        [
            [name, middle(shares[name, False]), middle(shares[name, True]), middle(readings)]
            for name in ("controller", "agent")
        ],
    )


def _state(dashboard: Dashboard) -> bytes:
    return dashboard.get(APPLICATIONS_PATH).body


def _agent() -> psutil.Process:
    """The dashboard's agent among the processes of the cluster that this one started."""
    for process in psutil.Process().children(recursive=True):
        if "dashboard/agent.py" in " ".join(process.cmdline()):
            return process
    sys.exit("the cluster has no agent")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _idle(seconds: float) -> int:
    time.sleep(seconds)
    return 0


def _read_for(dashboard: Dashboard, seconds: float) -> int:
    """Read as a run does, paced to the observer's budget; return the number of readings."""
    client = MetricsPorts(time.time)
    ports = PortList(dashboard, time.time)
    reader = PortsReader(ports, client, {"default"}, time.time, export_s=1.0)
    pacing = Pacing(1.0, BUDGET, longest_s=60.0)
    count, until_s = 0, time.time() + seconds
    while (begun_s := time.time()) < until_s:
        reader.read(lambda: False)
        pacing.answered(reader.cost_s)
        count += 1
        rest_s = min(begun_s + pacing.interval_s, until_s) - time.time()
        time.sleep(max(0.0, rest_s))
    reader.close()
    return count


if __name__ == "__main__":
    main()
