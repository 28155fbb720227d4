import http.client
import json
import time
from typing import Any

import pytest

from tests.support.standin.process import Standin, running_standin
from tests.support.standin.scenarios import one_deployment, random_script, steady_replica
from tests.support.standin.script import HEAD_NODE_ID, Fault, ReplicaScript

APPLICATIONS = "/api/serve/applications/"
DEADLINE_S = 20.0


def deployment_of(body: dict[str, Any]) -> dict[str, Any]:
    return body["applications"]["default"]["deployments"]["Model"]


def connect(standin: Standin) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(standin.url.removeprefix("http://"), timeout=DEADLINE_S)


def get(standin: Standin, path: str = APPLICATIONS, **headers: str) -> tuple[int, str]:
    connection = connect(standin)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def get_body(standin: Standin, path: str = APPLICATIONS) -> dict[str, Any]:
    status, text = get(standin, path)
    assert status == 200, text
    return json.loads(text)


def wait_for_refusal(standin: Standin) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        try:
            get(standin)
        except ConnectionRefusedError:
            return
        except (ConnectionError, http.client.HTTPException):
            continue  # taken in just before the port closed
    pytest.fail("the port was never closed")


def wait_for_answer(standin: Standin) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        try:
            assert get(standin)[0] == 200
        except (ConnectionError, http.client.HTTPException):
            continue
        return
    pytest.fail("the port was never opened again")


def test_every_answer_is_the_state_at_its_timestamp():
    script = one_deployment(ReplicaScript("aaaaaaaa", 0.3, 0.5, 0.7, 0.9, 1.1))
    changes = [(0.3, "STARTING"), (0.7, "RUNNING"), (0.9, "STOPPING"), (1.1, None)]

    with running_standin(script) as standin:
        seen: list[tuple[float, float, float, list[dict[str, Any]]]] = []
        while not seen or seen[-1][1] - standin.zero_s < 1.15:
            sent_s = time.time()
            body = get_body(standin)
            at_s = body["controller_health_metrics"]["timestamp"]
            seen.append((sent_s, at_s, time.time(), deployment_of(body)["replicas"]))

    for sent_s, at_s, received_s, replicas in seen:
        assert sent_s - 0.001 <= at_s <= received_s + 0.001  # wall clocks, against a monotonic one
        t_s = at_s - standin.zero_s
        expected = [state for change_s, state in changes if change_s <= t_s][-1:]
        assert [r["state"] for r in replicas] == [state for state in expected if state is not None]
        assert ["node_id" in replica for replica in replicas] == [t_s >= 0.5 for _ in replicas]


def test_the_clusters_clock_can_be_ahead():
    with running_standin(one_deployment(steady_replica(), clock_offset_s=3600.0)) as standin:
        body = get_body(standin)

    ahead_s = body["controller_health_metrics"]["timestamp"] - standin.zero_s
    assert 3600.0 <= ahead_s < 3600.0 + DEADLINE_S
    replica = deployment_of(body)["replicas"][0]
    assert replica["start_time_s"] == pytest.approx(standin.zero_s + 3540.0, abs=1e-6)


def test_the_truth_is_in_unix_seconds_and_knows_what_was_posted():
    with running_standin(random_script(1)) as standin:
        standin.control(Fault("restart", 10.0, seconds=1.0))
        truth = standin.truth()

    scripted = random_script(1).applications["default"]["Model0"]
    told = truth.deployments["default/Model0"]
    assert told.step_up_s == pytest.approx(standin.zero_s + 4.0, abs=1e-6)
    assert [replica.created_s - standin.zero_s for replica in told.replicas] == pytest.approx(
        [replica.created_s for replica in scripted.replicas], abs=1e-6
    )
    assert [fault.start_s for fault in truth.faults] == [standin.zero_s + 10.0]


def test_the_other_pages_have_rays_answers():
    script = one_deployment(steady_replica(), ReplicaScript("bbbbbbbb", -1.0), target=2)
    status_path = "/api/cluster_status?format=1"

    with running_standin(script) as standin:
        paths = ("/api/version", "/api/authentication_mode", "/api/v0/nodes", status_path)
        version, mode, nodes, status = (get_body(standin, path) for path in paths)
        missing = get(standin, "/api/serve/applications")

    assert (version["version"], version["ray_version"]) == ("4", "2.60.0")
    assert mode == {"authentication_mode": "disabled"}
    assert nodes["data"]["result"]["result"][0]["node_id"] == HEAD_NODE_ID
    assert nodes["data"]["result"]["result"][0]["resources_total"]["CPU"] == 4.0
    text = status["data"]["clusterStatus"].splitlines()
    assert " 0.1/4.0 CPU" in text
    assert text[-1] == " {'CPU': 0.1}: 1+ pending tasks/actors"
    assert missing == (404, "404: Not Found")


def test_with_a_token_all_but_the_mode_needs_it():
    with running_standin(one_deployment(steady_replica(), token="s3cret")) as standin:
        missing = get(standin)
        wrong = get(standin, Authorization="Bearer other")
        right = get(standin, Authorization="Bearer s3cret")
        mode = get_body(standin, "/api/authentication_mode")

    assert missing == (401, "Unauthorized: Missing authentication token")
    assert wrong == (403, "Forbidden: Invalid authentication token")
    assert right[0] == 200
    assert mode == {"authentication_mode": "token"}


def test_watching_is_counted_with_its_scripted_cost():
    script = one_deployment(steady_replica(), handler_cost_s=0.01, handler_cost_per_replica_s=0.005)

    with running_standin(script) as standin:
        for _ in range(4):
            get_body(standin)
        get(standin, "/api/version")
        stats = standin.stats()

    assert stats.requests == 4
    assert 4 * 0.015 <= stats.busy_s <= stats.elapsed_s


def test_it_ends_when_its_input_closes():
    with running_standin(one_deployment(steady_replica())) as standin:
        get_body(standin)

    with pytest.raises(ConnectionRefusedError):
        get(standin)


# Faults


def test_a_fault_has_its_window():
    fault = Fault("http_status", at_s=0.3, lasts_s=0.4, status=500)
    margin_s = 0.001  # wall clock here, monotonic clock there

    with running_standin(one_deployment(steady_replica(), faults=(fault,))) as standin:
        seen: list[tuple[float, int, float]] = []
        while not seen or seen[-1][0] < 0.8:
            sent_s = standin.now_s()
            seen.append((sent_s, get(standin)[0], standin.now_s()))

    inside = [status for s, status, r in seen if s > 0.3 + margin_s and r < 0.7 - margin_s]
    outside = [status for s, status, r in seen if r < 0.3 - margin_s or s > 0.7 + margin_s]
    assert set(inside) == {500}
    assert set(outside) == {200}


def test_a_posted_fault_lasts_until_it_is_cleared_and_touches_its_path():
    with running_standin(one_deployment(steady_replica())) as standin:
        standin.control(Fault("http_status"))
        during = (get(standin)[0], get(standin, "/api/version")[0])
        standin.control(clear=True)
        after = get(standin)[0]
        standin.control(Fault("http_status", status=502, path="/"))
        everywhere = (get(standin)[0], get(standin, "/api/version")[0])

    assert during == (503, 200)
    assert after == 200
    assert everywhere == (502, 502)


def test_a_slow_answer_shows_the_state_after_the_wait():
    with running_standin(one_deployment(steady_replica())) as standin:
        standin.control(Fault("slow", seconds=0.3))
        sent_s = standin.now_s()
        body = get_body(standin)

    evaluated_s = body["controller_health_metrics"]["timestamp"] - standin.zero_s
    assert evaluated_s - sent_s >= 0.299


def test_a_stopped_controller_answers_once_it_goes_on():
    stopped = Fault("slow", at_s=0.0, lasts_s=0.5)

    with running_standin(one_deployment(steady_replica(), faults=(stopped,))) as standin:
        body = get_body(standin)

    assert body["controller_health_metrics"]["timestamp"] - standin.zero_s >= 0.5


def test_a_hanging_request_is_never_answered():
    with running_standin(one_deployment(steady_replica())) as standin:
        standin.control(Fault("hang", seconds=0.2))
        sent_s = time.monotonic()
        with pytest.raises(http.client.RemoteDisconnected):
            get(standin)

    assert time.monotonic() - sent_s >= 0.199


def test_garbage_is_a_good_status_with_a_bad_body():
    with running_standin(one_deployment(steady_replica())) as standin:
        standin.control(Fault("garbage"))
        status, text = get(standin)

    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_a_truncated_body_ends_in_the_middle():
    with running_standin(one_deployment(steady_replica())) as standin:
        standin.control(Fault("truncated"))

        with pytest.raises(http.client.IncompleteRead):
            get(standin)


def test_a_reset_ends_the_connection_and_not_the_server():
    with running_standin(one_deployment(steady_replica())) as standin:
        connection = connect(standin)
        connection.request("GET", APPLICATIONS)
        connection.getresponse().read()
        standin.control(Fault("reset"))
        connection.request("GET", APPLICATIONS)
        with pytest.raises(ConnectionResetError):
            connection.getresponse()
        standin.control(clear=True)
        status, _ = get(standin)

    assert status == 200


def test_refused_connections_come_back_at_the_same_port():
    with running_standin(one_deployment(steady_replica())) as standin:
        standin.control(Fault("refuse"))
        wait_for_refusal(standin)
        standin.control(clear=True)
        wait_for_answer(standin)


def test_a_posted_restart_starts_the_controller_anew():
    with running_standin(one_deployment(steady_replica())) as standin:
        before = get_body(standin)["controller_health_metrics"]["controller_start_time"]
        standin.control(Fault("restart", seconds=DEADLINE_S))
        body = get_body(standin)
        restarted = standin.truth().faults[0]

    assert deployment_of(body)["replicas"][0]["state"] == "RECOVERING"
    after = body["controller_health_metrics"]["controller_start_time"]
    assert after == pytest.approx(restarted.start_s, abs=1e-6)
    assert after > before
