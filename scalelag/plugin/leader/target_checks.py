"""Checks of the target before a run: it answers, is ready, has room, and has what gates name."""

import os
from collections.abc import Callable, Collection, Sequence

import gevent
import msgspec

from probes.dashboard import Dashboard
from probes.serve_state import ServePayload
from reports.analysis.gate_checks import check_gates, known_after_the_load
from scalelag.cluster.preflight import Patience, ReadyState, check_endpoint, ready_state
from scalelag.cluster.room import await_room, measure_room
from scalelag.options.run_options import RunOptions
from scalelag.record.clock import Clock
from scalelag.record.rows import DeploymentKey

_ROOM_POLL_S = 1.0


def await_target(
    options: RunOptions, clock: Clock, dashboard: Dashboard, hosts: Sequence[str]
) -> ReadyState:
    """Return the state of Serve once it is ready and `hosts` answer. Raises UsageError, TargetError."""
    options.check_headers(os.environ)
    patience = Patience(options.wait_s, clock.now, gevent.sleep)
    ready = patience.retry(lambda: ready_state(dashboard, options.deployments))
    for host in hosts:
        patience.retry(lambda host=host: check_endpoint(host))
    return ready


def lacks(
    options: RunOptions,
    clock: Clock,
    dashboard: Dashboard,
    there: ServePayload,
    watched: frozenset[DeploymentKey],
    say: Callable[[str], None],
) -> list[str]:
    """Return what the cluster lacks for `max_replicas`; waits for it if `--wait-for-room` asks so."""
    if options.wait_for_room_s:
        patience = Patience(options.wait_for_room_s, clock.now, gevent.sleep, _ROOM_POLL_S)
        await_room(dashboard, watched, patience, say)
        return []
    return measure_room(dashboard, there, watched).lacks


def check_gates_of(
    options: RunOptions,
    watched: Collection[DeploymentKey],
    applications: Collection[str],
    say: Callable[[str], None],
) -> None:
    """Raise UsageError for gates on what the run will not have; `say` which are not known yet."""
    parts = msgspec.structs.replace(
        options.expected, watched=watched, applications=sorted(applications)
    )
    check_gates(options.gates, parts)
    for line in known_after_the_load(options.gates, parts):
        say(line)
