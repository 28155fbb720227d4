"""More runs for the diagnosis, of other sizes: they were made when its rules were done."""

from functools import partial
from typing import Final

from tools.diagnosis.hooks import (
    break_network,
    cut_node,
    make_sick,
    slow_controller,
    stop_controller,
)
from tools.diagnosis.injection import STEP, Injection

HELD_OUT: Final = (
    Injection(
        "two-nodes-started",
        "resources",
        "two replicas need a node each, to be started first",
        app="starved",
        arguments={"num_cpus": 0.1, "resources.worker_only": 2, "max_replicas": 3},
        steps=STEP.format(hold=16),
        place="node_autoscaler",
    ),
    Injection(
        "cpus-released-sooner",
        "resources",
        "4 of 8 CPUs are taken, a replica asks for 1.8; they are let go after 5 s",
        app="starved",
        arguments={"held_cpus": 4, "num_cpus": 1.8, "release_after_s": 8},
        steps=STEP.format(hold=14),
    ),
    Injection(
        "controller-stopped-4.5",
        "state_sync",
        "the controller's process is stopped for 4.5 s from 1 s after the step",
        hook=partial(stop_controller, at_s=1, for_s=4.5),
    ),
    Injection(
        "controller-slowed-2.5",
        "state_sync",
        "the controller's process has 0.4 of every 2.5 s for 10 s",
        hook=partial(slow_controller, at_s=0.1, for_s=10, stopped_s=2.1, running_s=0.4),
        steps=STEP.format(hold=15),
    ),
    Injection(
        "constructor-fails-3",
        "health_check",
        "the constructor takes 0.7 s and raises three times",
        app="sick_start",
        arguments={"failures": 3, "init_time_s": 0.7},
        steps=STEP.format(hold=16),
    ),
    Injection(
        "checks-raise-late",
        "health_check",
        "check_health raises in every replica for 4 s from 5 s after the step",
        app="sick_health",
        arguments={"sick_file": "{files}/sick", "health_check_period_s": 0.5},
        hook=partial(make_sick, at_s=5, for_s=4),
        steps=STEP.format(hold=20),
    ),
    Injection(
        "constructor-takes-2.5",
        "slow_init",
        "the constructor takes 2.5 s",
        app="slow_start",
        arguments={"init_time_s": 2.5, "max_replicas": 2},
        steps=STEP.format(hold=10),
    ),
    Injection(
        "constructor-takes-6.5",
        "slow_init",
        "the constructor takes 6.5 s, the delay is 3 s",
        app="slow_start",
        arguments={"init_time_s": 6.5, "upscale_delay_s": 3},
        steps=STEP.format(hold=18),
    ),
    Injection(
        "reset-late",
        "network",
        "connections to Serve are reset for 1.5 s from 6 s after the step",
        place="proxied",
        hook=partial(break_network, mode="reset", at_s=6, for_s=1.5),
    ),
    Injection(
        "node-cut-off-late",
        "network",
        "the second of two nodes is cut off 2.2 s after the step; time-outs of 4 s",
        deployment={"name": "Sleeper", "health_check_period_s": 1, "health_check_timeout_s": 2},
        arguments={"min_replicas": 2, "max_replicas": 5, "num_cpus": 0.8, "upscale_delay_s": 2},
        options=("--request-timeout", "4"),
        place="two_nodes",
        hook=partial(cut_node, at_s=2.2),
        steps="12rps:3s,35rps:24s",
    ),
    Injection(
        "max-5-users",
        "bounds",
        "max_replicas 5, 14 users in a closed loop need 10",
        arguments={"target_ongoing_requests": 1.4, "max_replicas": 5},
        steps="2users:3s,14users:13s",
    ),
    Injection(
        "push-2.5",
        "configured_delay",
        "metrics_interval_s 2.5, look_back_period_s 6, upscale_delay_s 2",
        arguments={"metrics_interval_s": 2.5, "look_back_period_s": 6, "upscale_delay_s": 2},
        steps=STEP.format(hold=18),
    ),
    Injection("ramp", None, "", steps="4rps:3s,4..25rps:6s,25rps:8s"),
    Injection("three-levels", None, "", steps="4rps:3s,14rps:9s,24rps:9s"),
    Injection(
        "slow-requests",
        None,
        "",
        arguments={"service_time_s": 1.2},
        steps="1rps:4s,4rps:14s",
        step_at_s=4.0,
    ),
)
