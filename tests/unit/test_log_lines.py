"""Lines of Ray Serve's logs: the texts are Ray 2.60's own, from a real run, unless a test says so."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.logs.log_lines import parse, records

STAMP = "2026-11-22 19:38:49,855"
AT_S = datetime(2026, 11, 22, 19, 38, 49, 855000, UTC).timestamp()
CONTROLLER = f"INFO {STAMP} controller 28085 -- "
REPLICA = f"INFO {STAMP} default_Fast kmix3tav -- "
REQUEST = f"INFO {STAMP} default_Fast kmix3tav 9f67b640-29de-4747-b4b5-e90fb45aa30a -- "
FAST = "Replica(id='kmix3tav', deployment='Fast', app='default')"
DEPLOYMENT = "Deployment(name='Fast', app='default')"


def read(*lines, source="controller"):
    """Parsed lines of a log, in order."""
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    parsed = [parse(record, source) for record in records(raw)]
    return [line for line in parsed if line]


def only(*lines, source="controller"):
    (line,) = read(*lines, source=source)
    return line


# --- the controller's log ------------------------------------------------------------------------


def test_a_decision_names_replicas_before_and_after_and_ongoing_requests():
    line = only(
        f"{CONTROLLER}Upscaling {DEPLOYMENT} from 1 to 4 replicas. Current ongoing requests: 6.42, "
        "current running replicas: 1."
    )

    found = (line.kind, line.deployment, line.before, line.after, line.ongoing, line.local_s)
    assert found == ("upscaling", "default/Fast", 1, 4, 6.42, AT_S)


def test_fewer_replicas_are_a_downscaling():
    line = only(f"{CONTROLLER}Downscaling {DEPLOYMENT} from 4 to 1 replicas. Current ongoing ")

    assert (line.kind, line.before, line.after, line.ongoing) == ("downscaling", 4, 1, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"Starting {FAST}.", "starting"),
        (f"{FAST} started successfully on node 'abc' after 2.0s (PID: 27834).", "started"),
        (f"Stopping {FAST} (currently ReplicaState.RUNNING).", "stopping"),
        (f"{FAST} is stopped.", "stopped"),
        (f"Exception in {FAST}, the replica will be stopped.", "start_failed"),
        (f"Exception when allocating {FAST}: pip failed", "start_failed"),
        (f"Health check for {FAST} failed: ray::ServeReplica", "health_check_failed"),
        (
            (
                f"Didn't receive health check response for replica {FAST} after 30s, marking it "
                "unhealthy."
            ),
            "health_check_timed_out",
        ),
        (f"Replica {FAST} failed health check, stopping it.", "unhealthy_stopped"),
        (f"Actor for {FAST} crashed, marking it unhealthy immediately.", "unhealthy_stopped"),
        (f"{FAST} did not shut down after grace period, force-killing it.", "force_killed"),
    ],
)
def test_what_happens_to_a_replica(text, kind):
    line = only(CONTROLLER + text)

    found = (line.kind, line.deployment, line.replica, line.local_s)
    assert found == (kind, "default/Fast", "kmix3tav", AT_S)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            f"Deploying new version of {DEPLOYMENT} (initial target replicas: 2).",
            "version_deployed",
        ),
        (f"Stopping 1 replicas of {DEPLOYMENT} with outdated versions.", "outdated_stopped"),
        (f"Deleting {DEPLOYMENT}", "deleting"),
    ],
)
def test_what_happens_to_a_deployment(text, kind):
    line = only(CONTROLLER + text)

    assert (line.kind, line.deployment, line.replica) == (kind, "default/Fast", None)


def test_a_replica_that_started_tells_its_node_and_how_long_it_took_to_initialise():
    line = only(
        f"{CONTROLLER}{FAST} started successfully on node '7589b71e' after 3.2s (PID: 27834). "
        "Replica constructor, reconfigure method, and initial health check took 1.0s."
    )

    assert (line.kind, line.on_node, line.duration_s) == ("started", "7589b71e", 1.0)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            (
                "to be scheduled. This may be due to waiting for the cluster to auto-scale or for a "
                "runtime environment to be installed. Resources required for each replica: "
                "{'CPU': 1.0, 'tpu': 1.0}, total resources available: {'CPU': 2.0}. Use `ray status`."
            ),
            "slow_to_schedule",
        ),
        ("to initialize.", "slow_to_initialize"),
    ],
)
def test_a_slow_start_is_of_a_deployment_and_keeps_its_reasons(text, kind):
    line = only(
        f"WARNING {STAMP} controller 28085 -- Deployment 'Fast' in application 'default' has 2 "
        f"replicas that have taken more than 30s {text}",
        "This may be caused by a slow __init__ or reconfigure method.",
    )

    assert (line.kind, line.deployment, line.replica) == (kind, "default/Fast", None)
    assert text in line.record.raw
    assert "slow __init__" in line.record.raw


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Controller starting (version='2.60.0').", "controller_started"),
        (
            (
                "Dropping stale metrics for handle '8hojrfd5' on actor 'c266' because no update was "
                "received for 20.0s. Peak ongoing requests was: 7.0."
            ),
            "stale_metrics",
        ),
    ],
)
def test_what_is_of_no_deployment(text, kind):
    line = only(CONTROLLER + text)

    assert (line.kind, line.deployment, line.replica) == (kind, None, None)


@pytest.mark.parametrize(
    "text",
    [
        f"Adding 3 replicas to {DEPLOYMENT}.",
        f"Stopping {FAST} on draining node 7589b71e.",
        f"Recovering {FAST}.",
        "Starting proxy 'SERVE_PROXY_ACTOR-f6a690' on node 'f6a690' listening on '127.0.0.1:52317'.",
        "Health check for deployment actor 'cache' (Deployment(name='F', app='a')) failed: x",
        "GET / 200 103.9ms",
        "",
    ],
)
def test_other_lines_of_the_controller_say_nothing(text):
    assert read(CONTROLLER + text) == []


def test_names_with_colons_and_dashes_and_no_application():
    line = only(
        f"{CONTROLLER}Upscaling Deployment(name='LLM:--gcs--Llama-3_2', app='') from 0 to 1 "
        "replicas. Current ongoing requests: 1.00, current running replicas: 0."
    )

    assert line.deployment == "/LLM:--gcs--Llama-3_2"


def test_the_words_of_ray_before_2_10():
    head = f"INFO {STAMP} controller 521 deployment_state.py:1298 - "
    lines = read(
        f"{head}Autoscaling replicas for deployment Fast in application default from 1 to 3. Current "
        "ongoing requests: 4.5, current handle queued queries: 0.",
        f"{head}Starting replica default#Fast#kmix3t for deployment 'Fast' in application 'default'.",
        f"{head}Replica default#Fast#kmix3t is stopped.",
    )

    found = [(line.kind, line.deployment, line.replica, line.after) for line in lines]
    assert found == [
        ("upscaling", "default/Fast", None, 3),
        ("starting", "default/Fast", "kmix3t", None),
        ("stopped", "default/Fast", "kmix3t", None),
    ]


# --- replicas' and proxies' logs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Started initializing replica.", "init_entered"),
        ("Finished initializing replica.", "init_done"),
        ("Replica at capacity of max_ongoing_requests=5, rejecting request 9f67.", "at_capacity"),
    ],
)
def test_what_a_replica_says_of_itself(text, kind):
    assert only(REPLICA + text, source="replica").kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "GET / 200 103.9ms",
        "POST /v1/chat/{id} 503 103.9ms",
        "CALL __call__ OK 103.9ms",
        "CALL predict ERROR 103.9ms",
        "192.0.2.7:51234 GET / 200 103.9ms",
        "[2001:db8::1]:51234 GET / 200 103.9ms",
        "__CALL__ OK 103.9ms",
    ],
)
def test_a_request_began_its_duration_before_its_line(text):
    line = only(REQUEST + text, source="replica")

    assert (line.kind, line.duration_s) == ("first_request", pytest.approx(0.1039))
    assert line.local_s == pytest.approx(AT_S - 0.1039, abs=1e-6)


@pytest.mark.parametrize("text", ["took 5ms", "GET / 200", "step 200 3.5", "loss OK 1.0ms later"])
def test_what_an_application_prints_is_no_request(text):
    assert read(REPLICA + text, source="replica") == []


@pytest.mark.parametrize("source", ["proxy", "replica"])
def test_a_router_that_waited_for_a_queue_length_names_the_replica(source):
    line = only(
        f"WARNING {STAMP} proxy 192.0.2.2 -- Failed to get queue length from {FAST} within 0.1s. If "
        "this happens repeatedly it's likely caused by high network latency in the cluster.",
        source=source,
    )

    assert (line.kind, line.replica) == ("slow_queue_length", "kmix3tav")


def test_a_line_means_nothing_in_the_log_of_another():
    assert read(f"{CONTROLLER}Started initializing replica.") == []
    assert read(f"{REPLICA}Starting {FAST}.", source="replica") == []
    assert read(f"{CONTROLLER}GET / 200 5.0ms", source="proxy") == []


# --- entries of several lines --------------------------------------------------------------------


def test_a_traceback_joins_its_entry():
    line, stopped = read(
        f"ERROR {STAMP} controller 28085 -- Exception in {FAST}, the replica will be stopped.",
        "Traceback (most recent call last):",
        '  File "/app/model.py", line 7, in __init__',
        "RuntimeError: no weights",
        f"{CONTROLLER}{FAST} is stopped.",
    )

    assert line.record.raw.splitlines()[1:] == [
        "Traceback (most recent call last):",
        '  File "/app/model.py", line 7, in __init__',
        "RuntimeError: no weights",
    ]
    assert stopped.kind == "stopped"


def test_of_a_long_traceback_beginning_and_last_line_are_kept():
    frames = [f'  File "/app/model.py", line {number}, in deeper' for number in range(5000)]
    line = only(
        f"ERROR {STAMP} controller 28085 -- Exception in {FAST}, the replica will be stopped.",
        *frames,
        "RuntimeError: no weights",
    )

    assert line.record.raw.startswith(f"ERROR {STAMP} controller 28085 -- Exception in")
    assert line.record.raw.endswith("\nRuntimeError: no weights")
    assert len(line.record.raw) < 2500


def test_what_comes_before_the_first_head_is_passed_over():
    lines = read(
        "lling Deployment(name='Fast', app='default') from 1", f"{CONTROLLER}{FAST} is stopped."
    )

    assert [line.kind for line in lines] == ["stopped"]


# --- JSON ----------------------------------------------------------------------------------------


def encoded(message, **more):
    entry = {"asctime": STAMP, "levelname": "INFO", "message": message, "filename": "a.py"}
    return json.dumps(entry | {"component_name": "controller"} | more)


def test_json_says_the_same_and_unix_time_too():
    line = only(encoded(f"Starting {FAST}.", timestamp_ns=1795376329855123456))

    assert (line.kind, line.replica, line.local_s) == ("starting", "kmix3tav", AT_S)
    assert line.record.unix_s == pytest.approx(1795376329.855123, abs=1e-6)


def test_json_without_a_local_time_counts_by_its_unix_time():
    entry = json.dumps({"message": f"Starting {FAST}.", "timestamp_ns": 1795376329855123456})

    assert only(entry).local_s == pytest.approx(1795376329.855123, abs=1e-6)


def test_a_traceback_in_json_keeps_its_last_line():
    traceback = "Traceback:\n" + "  deeper\n" * 1000 + "RuntimeError: no weights"
    line = only(encoded(f"Exception in {FAST}, the replica will be stopped.", exc_text=traceback))

    assert line.kind == "start_failed"
    assert "RuntimeError: no weights" in line.record.raw
    assert len(line.record.raw) < 2500


def test_the_encoding_may_change_in_the_middle():
    lines = read(f"{CONTROLLER}Starting {FAST}.", encoded(f"{FAST} is stopped."))

    assert [line.kind for line in lines] == ["starting", "stopped"]


# --- what makes no sense -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"{}",
        b'{"message": 5, "asctime": "x"}',
        b'{"message": "Starting", "asctime": "yesterday"}',
        b'{"message": "Starting", "timestamp_ns": "soon"}',
        b"INFO 2026-13-22 19:38:49,855 controller 28085 -- Controller starting",
        b"INFO 2026-11-22 19:38:49,855 controller 28085",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_makes_no_sense_is_passed_over(line):
    assert read(line) == []


def test_a_line_cut_off_says_no_more_than_stands_there():
    whole = (
        f"{CONTROLLER}{FAST} started successfully on node '7589b71e' after 3.2s (PID: 27834). "
        "Replica constructor, reconfigure method, and initial health check took 12.5s."
    )
    for length in range(len(whole)):
        for line in read(whole[:length]):
            assert line.duration_s is None or line.duration_s == 12.5
            assert line.on_node in (None, "7589b71e")


@given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from(["controller", "replica"]))
def test_any_bytes_are_read_without_an_error(lines, source):
    for line in read(*lines, source=source):
        assert line.kind


@given(st.text(max_size=300))
def test_any_text_after_a_head_is_read_without_an_error(text):
    read(CONTROLLER + text, REPLICA + text, encoded(text), source="replica")
    read(CONTROLLER + text, REPLICA + text, encoded(text))
