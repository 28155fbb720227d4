"""Requests to Serve when an application comes and goes beside others."""

import time

import pytest

from probes.dashboard import DashboardError
from scalelag.cluster.deploy import as_deployed, deploy, undeploy
from scalelag.cluster.preflight import Patience
from scalelag.errors import TargetError, UsageError
from tests.unit.deploy_cases import OURS, SETTINGS, THEIRS, Serve, patience


def test_settings_of_all_serve_are_named_again_when_an_app_comes_and_goes():
    serve = Serve(THEIRS, **SETTINGS)

    names = deploy(serve, [OURS])
    during = serve.document
    undeploy(serve, names, patience())

    assert during == {**SETTINGS, "applications": [THEIRS, OURS]}
    assert serve.document == {**SETTINGS, "applications": [THEIRS]}


def test_an_application_is_taken_away_also_if_the_dashboard_is_silent_for_a_while():
    serve = Serve(THEIRS, OURS)
    answer, silent = serve.get, iter(range(3))

    def get(path):
        if next(silent, None) is not None:
            raise DashboardError("GET: no answer in time.", "no answer in time")
        return answer(path)

    serve.get = get
    undeploy(serve, ["ours"], Patience(30.0, time.monotonic, lambda _: None))

    assert serve.document["applications"] == [THEIRS]


@pytest.mark.parametrize(
    "others",
    [
        {"import_path": "theirs:app"},
        {"args": {"size": 7}},
        {"runtime_env": {"env_vars": {"SIZE": "7"}}},
    ],
)
def test_what_somebody_has_put_in_place_of_ours_stays(others, capsys):
    serve = Serve(THEIRS, OURS)
    replaced = {**OURS, **others}
    serve.document = {"applications": [THEIRS, replaced]}

    undeploy(serve, ["ours"], patience(), as_deployed([OURS]))

    assert serve.document == {"applications": [THEIRS, replaced]}
    assert f'"ours" at {serve.url} is left as it is' in capsys.readouterr().err


def test_what_was_deployed_from_python_in_place_of_ours_is_neither_deleted_nor_waited_for(capsys):
    serve = Serve(THEIRS, OURS, python=[("ours", "/ours")])
    before = serve.document

    undeploy(serve, ["ours"], patience(), as_deployed([OURS]))

    assert serve.document is before
    assert '"ours" at' in capsys.readouterr().err


def test_ours_is_known_again_with_other_deployments_and_with_what_serve_adds(capsys):
    ours = {**OURS, "args": {"at": 1.5, "of": [1, 2]}}
    serve = Serve(THEIRS, {**ours, "runtime_env": {}, "deployments": [{"name": "M"}]})

    undeploy(serve, ["ours"], patience(), as_deployed([ours]))

    assert serve.document == {"applications": [THEIRS]}
    assert capsys.readouterr().err == ""


def test_of_two_applications_only_the_one_that_is_still_ours_goes(capsys):
    replaced = {**OURS, "name": "second", "import_path": "another:app"}
    serve = Serve(THEIRS, OURS, replaced)

    undeploy(serve, ["ours", "second"], patience(), as_deployed([OURS, {**OURS, "name": "second"}]))

    assert serve.document == {"applications": [THEIRS, replaced]}
    assert '"second" at' in capsys.readouterr().err


def test_one_that_is_going_away_is_waited_for():
    serve = Serve(THEIRS, OURS)
    serve.deleting = frozenset(["ours"])
    serve.put = lambda *_: None

    with pytest.raises(TargetError, match="still runs ours, which should be deleted"):
        undeploy(serve, ["ours"], patience(), as_deployed([OURS]))


def test_a_second_attempt_to_deploy_replaces_nothing_of_somebody_else():
    serve = Serve(THEIRS, {**OURS, "import_path": "another:app"})
    before = serve.document

    with pytest.raises(UsageError, match="already runs the application ours"):
        deploy(serve, [OURS], ["ours"])

    assert serve.document is before


def test_a_configuration_that_is_replaced_from_python_is_not_put_back():
    serve = Serve(THEIRS, python=[("theirs", "/theirs")])

    deploy(serve, [OURS])

    assert serve.document == {"applications": [OURS]}


def test_settings_that_are_not_there_are_not_invented():
    serve = Serve(THEIRS, target_capacity=None)

    deploy(serve, [OURS])

    assert serve.document == {"applications": [THEIRS, OURS]}


def test_an_application_deployed_from_python_is_not_named():
    serve = Serve(python=[("by_hand", "/hand")])

    deploy(serve, [OURS])

    assert serve.document == {"applications": [OURS]}


def test_an_application_that_is_going_away_is_not_brought_back():
    serve = Serve(THEIRS)
    serve.deleting = frozenset(["theirs"])

    deploy(serve, [OURS])

    assert serve.document == {"applications": [OURS]}


def scaling(target: int, **settings: int) -> dict[str, dict[str, object]]:
    config = {"autoscaling_config": {"min_replicas": 2, "max_replicas": 10, **settings}}
    return {"theirs": {"Model": {"target_num_replicas": target, "deployment_config": config}}}


def test_an_application_that_would_scale_others_up_is_refused_before_anything_is_told():
    serve = Serve(THEIRS, target_capacity=50.0)
    serve.deployments = scaling(1, initial_replicas=8)
    before = serve.document

    with pytest.raises(
        UsageError, match="keep initial_replicas of theirs/Model, 4 replicas instead of 1"
    ):
        deploy(serve, [OURS])

    assert serve.document is before


@pytest.mark.parametrize(
    ("settings", "deployed"),
    [
        ({"target_capacity": 50.0}, scaling(1)),
        ({}, scaling(2, initial_replicas=8)),
        ({"target_capacity": 50.0}, scaling(4, initial_replicas=8)),
    ],
)
def test_an_application_that_scales_nobody_up_is_deployed(settings, deployed):
    serve = Serve(THEIRS, **settings)
    serve.deployments = deployed

    deploy(serve, [OURS])

    assert serve.document["applications"] == [THEIRS, OURS]


@pytest.mark.parametrize("serve", [Serve(THEIRS), Serve(python=[("theirs", "/theirs")])])
def test_a_route_that_is_taken_is_refused_before_anything_is_told(serve):
    before = serve.document

    with pytest.raises(UsageError, match=r'"theirs" at .* already has the route /theirs'):
        deploy(serve, [{**OURS, "route_prefix": "/theirs"}])

    assert serve.document is before


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(UsageError, match="already runs the application theirs"):
        deploy(Serve(THEIRS), [{**OURS, "name": "theirs"}])
