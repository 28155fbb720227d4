"""The runs that the diagnosis is tried on, as a table: what is wrong in each, and its cause."""

from functools import partial
from typing import Final

import msgspec

from tools.diagnosis.held_out import HELD_OUT
from tools.diagnosis.hooks import (
    break_network,
    cut_node,
    kill_controller,
    make_sick,
    slow_controller,
    stop_controller,
    stop_gcs,
    stop_replica,
)
from tools.diagnosis.injection import STEP, Injection
from tools.diagnosis.shapes import SHAPES

RESOURCES = (
    Injection(
        "node-started",
        "resources",
        "each replica needs a node, which Ray's node autoscaler has to start first",
        app="starved",
        arguments={"num_cpus": 0.1, "resources.worker_only": 2, "max_replicas": 2},
        place="node_autoscaler",
        kept=True,
    ),
    Injection(
        "cpus-held",
        "resources",
        "6 of 8 CPUs are taken, a replica asks for 1: one of three is never placed",
        app="starved",
        arguments={"held_cpus": 6},
        steps=STEP.format(hold=16),
    ),
    Injection(
        "cpus-released",
        "resources",
        "5 of 8 CPUs are taken, a replica asks for 1.5; they are let go after 10 s",
        app="starved",
        arguments={"held_cpus": 5, "num_cpus": 1.5, "release_after_s": 13},
        steps=STEP.format(hold=18),
    ),
    Injection(
        "one-per-node",
        "resources",
        "max_replicas_per_node 1 on one node",
        deployment={"name": "Sleeper", "max_replicas_per_node": 1},
        steps=STEP.format(hold=16),
    ),
    Injection(
        "cpus-released-soon",
        "resources",
        "3 of 8 CPUs are taken, a replica asks for 2.5; they are let go after 6 s",
        app="starved",
        arguments={"held_cpus": 3, "num_cpus": 2.5, "release_after_s": 9},
        steps=STEP.format(hold=14),
    ),
)

STATE_SYNC = (
    Injection(
        "controller-stopped-6",
        "state_sync",
        "the controller's process is stopped for 6 s from 0.3 s after the step",
        hook=partial(stop_controller, at_s=0.3, for_s=6),
        steps=STEP.format(hold=14),
    ),
    Injection(
        "controller-stopped-3",
        "state_sync",
        "the controller's process is stopped for 3 s from 2 s after the step",
        hook=partial(stop_controller, at_s=2, for_s=3),
        kept=True,
    ),
    Injection(
        "controller-slowed",
        "state_sync",
        "the controller's process has 0.15 of every second for 10 s",
        hook=partial(slow_controller, at_s=0.2, for_s=10, stopped_s=0.85, running_s=0.15),
        steps=STEP.format(hold=16),
    ),
    Injection(
        "controller-killed",
        "state_sync",
        "the controller is killed 0.5 s after the step",
        hook=partial(kill_controller, at_s=0.5),
        steps=STEP.format(hold=14),
    ),
    Injection(
        "loop-slow",
        "state_sync",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S is 0.5",
        arguments={"upscale_delay_s": 0.5},
        place="slow_loop",
        steps=STEP.format(hold=14),
    ),
    Injection(
        "gcs-stopped",
        "state_sync",
        "Ray's GCS is stopped for 5 s from 0.5 s after the step",
        hook=partial(stop_gcs, at_s=0.5, for_s=5),
        steps=STEP.format(hold=16),
    ),
)

HEALTH_CHECK = (
    Injection(
        "constructor-fails-2",
        "health_check",
        "the constructor raises twice, then works",
        app="sick_start",
        arguments={"failures": 2},
        kept=True,
    ),
    Injection(
        "constructor-fails-5",
        "health_check",
        "the constructor raises 5 times",
        app="sick_start",
        arguments={"failures": 5},
        steps=STEP.format(hold=18),
    ),
    Injection(
        "constructor-fails-always",
        "health_check",
        "the constructor of every new replica raises after 1 s",
        app="sick_start",
        arguments={"failures": -1, "init_time_s": 1},
        steps=STEP.format(hold=14),
    ),
    Injection(
        "checks-raise",
        "health_check",
        "check_health raises in every replica for 6 s from 0.5 s after the step",
        app="sick_health",
        arguments={"sick_file": "{files}/sick", "mode": "raise"},
        hook=partial(make_sick, at_s=0.5, for_s=6),
        steps=STEP.format(hold=18),
    ),
    Injection(
        "checks-hang",
        "health_check",
        "check_health of every replica does not answer for 9 s from 0.5 s after the step",
        app="sick_health",
        arguments={"sick_file": "{files}/sick", "mode": "hang", "health_check_timeout_s": 1},
        hook=partial(make_sick, at_s=0.5, for_s=9),
        steps=STEP.format(hold=20),
    ),
    Injection(
        "replica-stopped",
        "health_check",
        "the only replica's process is stopped for 10 s from the step on; time-outs of 3 s",
        deployment={"name": "Sleeper", "health_check_period_s": 1, "health_check_timeout_s": 1.5},
        options=("--request-timeout", "3"),
        hook=partial(stop_replica, key="default/Sleeper", at_s=0, for_s=10),
        steps=STEP.format(hold=18),
    ),
)

SLOW_INIT = tuple(
    Injection(
        f"constructor-takes-{init_s:g}",
        "slow_init",
        f"the constructor takes {init_s:g} s",
        app="slow_start",
        arguments={"init_time_s": init_s},
        steps=STEP.format(hold=init_s + 9),
        kept=init_s == 3,
    )
    for init_s in (3, 5, 8)
)

NETWORK = (
    Injection(
        "reset",
        "network",
        "connections to Serve are reset for 4 s from 1 s after the step",
        place="proxied",
        hook=partial(break_network, mode="reset", at_s=1, for_s=4),
        steps=STEP.format(hold=9),
        kept=True,
    ),
    Injection(
        "refused",
        "network",
        "connections to Serve are refused for 2 s from the step on",
        place="proxied",
        hook=partial(break_network, mode="refuse", at_s=0, for_s=2),
    ),
    Injection(
        "blackhole",
        "network",
        "nothing passes to or from Serve for 5 s from 2 s after the step; time-outs of 2 s",
        place="proxied",
        arguments={"max_replicas": 8},
        options=("--request-timeout", "2"),
        hook=partial(break_network, mode="blackhole", at_s=2, for_s=5),
        steps=STEP.format(hold=14),
    ),
    Injection(
        "node-cut-off",
        "network",
        "the second of two nodes is cut off 0.5 s after the step; time-outs of 3 s",
        deployment={"name": "Sleeper", "health_check_period_s": 1, "health_check_timeout_s": 2},
        arguments={"min_replicas": 3, "max_replicas": 6, "num_cpus": 0.5},
        options=("--request-timeout", "3"),
        place="two_nodes",
        hook=partial(cut_node, at_s=0.5),
        steps="15rps:3s,50rps:24s",
    ),
)

BOUNDS = (
    Injection(
        "max-2",
        "bounds",
        "max_replicas 2, the load needs 6",
        arguments={"target_ongoing_requests": 1, "max_replicas": 2, "max_ongoing_requests": 20},
        steps=STEP.format(hold=10),
        kept=True,
    ),
    Injection(
        "max-3-users",
        "bounds",
        "max_replicas 3, 16 users in a closed loop need 8",
        arguments={"max_replicas": 3},
        steps="1users:3s,16users:12s",
    ),
    Injection(
        "max-4",
        "bounds",
        "max_replicas 4, the load needs 10",
        arguments={"target_ongoing_requests": 0.5, "max_replicas": 4},
    ),
)

CONFIGURED_DELAY = (
    Injection(
        "delay-8",
        "configured_delay",
        "upscale_delay_s 8",
        arguments={"upscale_delay_s": 8},
        steps=STEP.format(hold=17),
    ),
    Injection(
        "delay-above-hold",
        "configured_delay",
        "upscale_delay_s 10, the load holds for 7 s",
        arguments={"upscale_delay_s": 10},
        steps=STEP.format(hold=7),
        kept=True,
    ),
    Injection(
        "down-600",
        "configured_delay",
        "downscale_delay_s 600, watched for 8 s",
        arguments={"min_replicas": 1, "initial_replicas": 3},
        steps="30rps:5s,4rps:8s",
        step_at_s=5.0,
    ),
    Injection(
        "push-4",
        "configured_delay",
        "metrics_interval_s 4, look_back_period_s 5",
        arguments={"metrics_interval_s": 4, "look_back_period_s": 5},
        steps=STEP.format(hold=18),
    ),
)

HEALTHY = (
    Injection("sleeper", None, "", kept=True),
    Injection(
        "cpu_bound",
        None,
        "",
        app="cpu_bound",
        arguments={
            "num_cpus": 0.5,
            "work_ms": 15,
            "target_ongoing_requests": 0.4,
            "max_replicas": 6,
        },
        steps="5rps:4s,30rps:14s",
        step_at_s=4.0,
    ),
    Injection("pipeline", None, "", app="pipeline", steps="5rps:4s,30rps:16s", step_at_s=4.0),
    Injection(
        "cold_start",
        None,
        "",
        app="cold_start",
        steps="4rps:12s,30rps:12s",
        step_at_s=12.0,
    ),
    Injection("poisson", None, "", options=("--arrivals", "poisson", "--seed", "7")),
    Injection("users", None, "", steps="1users:3s,6users:12s"),
    Injection("haproxy", None, "", place="haproxy"),
)

INJECTIONS: Final = (
    *RESOURCES,
    *STATE_SYNC,
    *HEALTH_CHECK,
    *SLOW_INIT,
    *NETWORK,
    *BOUNDS,
    *CONFIGURED_DELAY,
    *HEALTHY,
    *SHAPES,
    *(msgspec.structs.replace(injection, held_out=True) for injection in HELD_OUT),
)
