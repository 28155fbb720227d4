"""Events against a dashboard that answers as Serve does: checked beforehand, and carried out."""

from typing import get_args

import msgspec
import pytest
import yaml

from scalelag.cluster.events import carry_out, ready_events
from scalelag.cluster.ray_job.kill import KillJob
from scalelag.errors import TargetError, UsageError
from scalelag.plan.events import EventKind, parse_event
from scalelag.ray_versions import EVENTS_SINCE
from tests.unit.deploy_cases import OURS, THEIRS, Target, there
from tests.unit.ray_job_cases import Ray

MODEL = {
    "name": "a/b",
    "route_prefix": "/m",
    "import_path": "m:app",
    "external_scaler_enabled": True,
}


def ready(serve, *texts, ray="2.60.0"):
    payload = there(serve)
    events = [parse_event(text) for text in texts]
    return ready_events(events, payload, frozenset(payload.deployments()), serve, ray)


def test_a_target_is_posted_to_the_deployment_whatever_its_name():
    serve = Target(MODEL)

    (one,) = ready(serve, "3s: scale D 1 to 5")
    reply = carry_out(serve, one)

    assert (one.index, one.app, one.deployment) == (1, "a/b", "D 1")
    path = "/api/v1/applications/a%2Fb/deployments/D%201/scale"
    assert serve.posted == [(path, {"target_num_replicas": 5})]
    assert (reply.sent_s, reply.received_s) == (7.0, 7.1)


@pytest.mark.parametrize(
    ("ray", "reason"),
    [
        ("2.60.0", "external_scaler_enabled: true"),
        ("2.53.0", "external_scaler_enabled: true"),
        ("2.50.1", "since Ray 2.51, and this is 2.50.1"),
        ("2.10.0", "since Ray 2.51, and this is 2.10.0"),
    ],
)
def test_a_target_that_serve_would_refuse_is_refused_before_the_load(ray, reason):
    with pytest.raises(TargetError, match=reason):
        ready(Target(THEIRS), "3s: scale theirs/D 1 to 5", ray=ray)


@pytest.mark.parametrize("ray", ["2.10.0", "2.44.1", "2.50.1", "2.51.0", "2.60.0", None])
def test_each_version_takes_the_events_that_it_has_what_they_take(ray, tmp_path):
    serve = Target(OURS, MODEL)
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"applications": [OURS]}))
    texts = {
        "kill_replicas": "kill 2 replicas of a/b/D 1",
        "kill_node": "kill node of a/b/D 1",
        "kill_controller": "kill controller",
        "kill_proxy": "kill proxy",
        "deploy": f"deploy {tmp_path}/new.yaml",
        "delete": "delete ours",
        "scale": "scale a/b/D 1 to 3",
    }

    refused = set()
    for kind, text in texts.items():
        try:
            ready(serve, f"3s: {text}", ray=ray)
        except TargetError:
            refused.add(kind)

    assert texts.keys() == EVENTS_SINCE.keys() == set(get_args(EventKind))
    assert refused == ({"scale"} if ray in ("2.10.0", "2.44.1", "2.50.1") else set())


def test_a_version_before_the_oldest_takes_no_event():
    with pytest.raises(
        TargetError, match=r'"3s: kill proxy".*since Ray 2\.10, and this is 2\.9\.3'
    ):
        ready(Target(MODEL), "3s: kill proxy", ray="2.9.3")


def test_a_deletion_takes_one_application_and_names_the_others_again():
    serve = Target(THEIRS, OURS)

    (one,) = ready(serve, "3s: delete ours")
    carry_out(serve, one)

    assert serve.document["applications"] == [THEIRS]


def test_an_application_from_python_cannot_be_deleted_and_that_is_said_before_the_load():
    serve = Target(THEIRS, python=[("mine", "/mine")])
    payload = there(serve)
    known = frozenset({"mine/D"})

    with pytest.raises(UsageError, match="deployed from Python"):
        ready_events([parse_event("3s: delete mine")], payload, known, serve, "2.60.0")


def test_an_application_from_python_is_not_replaced_since_nothing_could_give_it_back(tmp_path):
    serve = Target(THEIRS, python=[("mine", "/mine")])
    mine = {"name": "mine", "route_prefix": "/mine", "import_path": "m:app"}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"applications": [OURS, mine]}))

    with pytest.raises(UsageError, match=r"the application mine was deployed from Python.*again"):
        ready(serve, f"3s: deploy {tmp_path}/new.yaml")


def test_a_file_replaces_its_applications_and_leaves_the_others(tmp_path):
    serve, newer = Target(THEIRS, OURS), OURS | {"args": {"version": 2}}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"applications": [newer]}))

    (one,) = ready(serve, f"3s: deploy {tmp_path}/new.yaml")
    carry_out(serve, one)

    assert one.app_names == ("ours",)
    assert serve.document["applications"] == [THEIRS, newer]


def test_events_may_be_on_what_one_before_them_deploys(tmp_path):
    serve = Target(THEIRS)
    newer = OURS | {"deployments": [{"name": "E"}]}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"applications": [newer]}))
    deployed = f"3s: deploy {tmp_path}/new.yaml"

    found = ready(serve, deployed, "9s: kill 1 replica of E", "12s: delete ours")

    assert [(one.app, one.deployment) for one in found[1:]] == [("ours", "E"), ("ours", None)]
    with pytest.raises(UsageError, match='no watched application "ours"'):
        ready(serve, "2s: delete ours", deployed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file or directory."),
        ("a: [", "not valid YAML"),
        ("x: 1", "no list of applications"),
    ],
)
def test_a_file_that_cannot_be_deployed_is_refused_before_the_load(tmp_path, text, reason):
    if text is not None:
        (tmp_path / "new.yaml").write_text(text)

    with pytest.raises(UsageError, match=f"--event: deploy .*{reason}"):
        ready(Target(THEIRS), f"3s: deploy {tmp_path}/new.yaml")


def test_a_kill_is_a_job_with_its_whole_text_and_what_it_tells_is_read():
    ray = Ray(logs='noise\n{"ready": 1.5}\n{"begun": 9.0, "ended": 9.1, "lost": ["r1"]}\n')
    job = KillJob(ray, parse_event("9s: kill 1 replica of a/D"), "a", "D", ray.patience)

    job.submit(9.0)
    told = job.told()
    job.end()

    assert "import scalelag" not in ray.submitted["entrypoint"]
    assert '"at":9.0' in ray.submitted["entrypoint"]
    assert (told.ready, told.begun, told.ended, told.lost) == (1.5, 9.0, 9.1, ("r1",))
    assert told.over
    assert ray.status is None


def test_a_job_that_ends_without_a_word_has_its_last_lines_as_the_reason():
    ray = Ray(logs="Traceback\nValueError: no such actor\n")
    job = KillJob(ray, parse_event("9s: kill controller"), None, None, ray.patience)

    job.submit(9.0)
    ray.status = "FAILED"

    assert "no such actor" in msgspec.to_builtins(job.told())["problem"]
