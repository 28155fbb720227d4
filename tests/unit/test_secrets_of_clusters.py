"""Secrets of a cluster's applications, in settings, statuses, logs and errors: none is recorded."""

import msgspec
import pytest

from probes.cluster_probe import ClusterProbe
from probes.dashboard import Dashboard, DashboardError
from probes.logs.log_events import LogsRead, evidence_rows
from probes.logs.log_lines import parse, records
from probes.logs.node_clocks import Bound
from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from scalelag.cluster.ignored_settings import dropped_settings
from scalelag.record.rows import ConfigChange, StatusChange, Transition
from scalelag.record.secrets import HIDDEN, without_secrets
from tests.support.servers.one_answer import listening

SECRET = "canary"
URL = f"postgres://me:{SECRET}@db/x?password={SECRET}"
TRACEBACK = f"The deployment failed to start.\nOperationalError: no way to {URL}"
ACTOR = {
    "num_cpus": 0.5,
    "resources": {"keys": 1.0},
    "runtime_env": {
        "env_vars": {"HF_TOKEN": SECRET, "DSN": SECRET},
        "working_dir": f"https://git:{SECRET}@host/app.zip",
        "pip": ["a", f"--index-url=https://host/simple?token={SECRET}"],
    },
}
POLICY = {"policy_function": "mine:policy", "policy_kwargs": {"api_key": SECRET, "window_s": 5}}
CONFIG = {
    "ray_actor_options": ACTOR,
    "autoscaling_config": {"max_replicas": 4, "policy": POLICY},
    "user_config": {"password": SECRET},
}


def application(status="HEALTHY", message="", **config):
    model = {"status": status, "message": message, "deployment_config": CONFIG | config}
    return parse_payload(
        msgspec.json.encode({"applications": {"app": {"deployments": {"Model": model}}}})
    )


def changed(*, cpus=0.5, variable=SECRET):
    runtime_env = {**ACTOR["runtime_env"], "env_vars": {"HF_TOKEN": variable, "DSN": SECRET}}
    return {"ray_actor_options": ACTOR | {"num_cpus": cpus, "runtime_env": runtime_env}}


def test_settings_are_recorded_without_the_secrets_in_them():
    info = application().infos(["app/Model"])["app/Model"]

    assert SECRET not in msgspec.json.encode(info).decode()
    assert info.autoscaling == {
        "max_replicas": 4,
        "policy": {
            "policy_function": "mine:policy",
            "policy_kwargs": {"api_key": HIDDEN, "window_s": 5},
        },
    }
    assert info.config["ray_actor_options"] == {
        "num_cpus": 0.5,
        "resources": {"keys": 1.0},
        "runtime_env": {
            "env_vars": {"HF_TOKEN": HIDDEN, "DSN": HIDDEN},
            "working_dir": "https://host/app.zip",
            "pip": ["a", f"--index-url=https://host/simple?token={HIDDEN}"],
        },
    }


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text", [], {}, {"password": None}])
def test_what_is_no_secret_stays(value):
    assert without_secrets(value) == value


def tracker():
    found = ReplicaTracker(frozenset(["app/Model"]))
    found.begin(application(), 0.0)
    return found


def told(rows, kind):
    return [row for row in rows if isinstance(row, kind)]


def test_a_changed_secret_is_told_as_a_change_and_not_shown():
    first = tracker()
    first.rows(application(), 1.0, 1.1)

    (change,) = told(
        first.rows(application(**changed(variable="canary-2")), 2.0, 2.1), ConfigChange
    )

    assert change.changed == ("ray_actor_options",)
    assert SECRET not in msgspec.json.encode(change).decode()


def test_a_tracker_that_goes_on_takes_no_hidden_secret_for_a_change():
    first, second = tracker(), tracker()
    rows = first.rows(application(), 1.0, 1.1)
    rows += first.rows(application("UNHEALTHY", TRACEBACK, **changed(cpus=1.0)), 2.0, 2.1)
    rows += first.rows(application("UNHEALTHY", TRACEBACK, **changed(cpus=1.0)), 3.0, 3.1)
    second.resume(rows)

    later = second.rows(application("UNHEALTHY", TRACEBACK, **changed(cpus=1.0)), 4.0, 4.1)

    assert len(told(rows, ConfigChange)) == 1
    assert told(later, (ConfigChange, StatusChange)) == []


def test_the_message_of_a_status_is_told_once_without_the_secrets_in_it():
    first = tracker()

    rows = [
        *first.rows(application("UNHEALTHY", TRACEBACK), 1.0, 1.1),
        *first.rows(application("UNHEALTHY", TRACEBACK), 2.0, 2.1),
    ]

    (row,) = told(rows, StatusChange)
    assert row.message == (
        f"The deployment failed to start.\nOperationalError: no way to postgres://db/x?password={HIDDEN}"
    )


def test_a_setting_that_is_read_nowhere_is_named_without_the_secrets_in_it():
    given = {"name": "app", "deployments": [{"name": "Model", "ray_actor_option": ACTOR}]}
    there = parse_payload(
        msgspec.json.encode(
            {
                "applications": {
                    "app": {
                        "deployed_app_config": {"name": "app", "deployments": [{"name": "Model"}]},
                        "deployments": {"Model": {}},
                    }
                }
            }
        )
    )

    (finding,) = dropped_settings([given], there)

    assert finding.deployment == "app/Model"
    assert SECRET not in finding.text


def test_an_error_text_of_the_dashboard_shows_no_secret_of_an_application():
    refusal = pytest.raises(DashboardError, match="no way to postgres://db")
    with listening(TRACEBACK.encode(), status=500) as (port, _), refusal as refused:
        Dashboard(f"http://127.0.0.1:{port}", lambda: 0.0).get("/")

    assert SECRET not in str(refused.value)


def test_lines_of_logs_are_recorded_without_the_secrets_in_them():
    text = (
        "ERROR 2026-11-22 19:38:49,855 controller 1 -- Exception in Replica(id='a', "
        f"deployment='Model', app='app'), the replica will be stopped.\n{TRACEBACK}"
    )
    found = [parse(record, "controller") for record in records(text.encode().split(b"\n"))]
    at_s = found[0].local_s
    bounds = {"n1": (Bound(-0.1, 0.1),)}
    logs = LogsRead(controller_node="n1", controller=tuple(found), pings=bounds)

    gone = Transition(deployment="app/Model", replica="a", lo_s=at_s, hi_s=at_s)

    rows = evidence_rows(logs, [gone], (at_s - 1, at_s + 1), None, 5.0)

    written = msgspec.json.encode(rows).decode()
    assert "postgres://db/x" in written
    assert SECRET not in written


def test_ray_s_words_about_nodes_are_recorded_without_the_secrets_in_them():
    status = (
        "======== Autoscaler status: 2026-11-22 ========\nNode status\nActive:\n 1 node_1\n"
        f"Pending:\n worker, {URL}\nRecent failures:\n worker: NodeTerminated ({URL})\n"
    )
    body = msgspec.json.encode({"data": {"clusterStatus": status}})
    rows = []
    with listening(body) as (port, _):
        dashboard = Dashboard(f"http://127.0.0.1:{port}", lambda: 0.0)
        ClusterProbe(dashboard, rows.extend, lambda: 0.0).poll_once()

    written = msgspec.json.encode(rows).decode()
    assert written.count("postgres://db/x") == 2
    assert SECRET not in written
