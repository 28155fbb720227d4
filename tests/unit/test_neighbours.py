"""Neighbours that are not RUNNING decide nothing: they were not asked for."""

import json

import pytest

from probes.dashboard import Reply
from scalelag.cluster.preflight import ready_payload, unready_neighbours, watched_deployments
from scalelag.errors import RetryAdvice, TargetError
from scalelag.plugin.leader.start_lint import start_findings

NEIGHBOUR_STATUSES = ["DEPLOY_FAILED", "UNHEALTHY", "DEPLOYING"]


class Serve:
    """A dashboard of applications, each with one deployment `D`, in these statuses."""

    url = "http://127.0.0.1:8265"

    def __init__(self, said="{name} says no", **statuses):
        self.said = said
        self.statuses = statuses

    def get(self, _path):
        applications = {
            name: {
                "status": status,
                "message": self.said.format(name=name) if status != "RUNNING" else "",
                "deployments": {"D": {"name": "D", "status": "HEALTHY", "message": ""}},
            }
            for name, status in self.statuses.items()
        }
        return Reply(json.dumps({"applications": applications}).encode(), 0.0, 0.0)


@pytest.mark.parametrize("status", NEIGHBOUR_STATUSES)
@pytest.mark.parametrize(
    ("wanted", "apps", "watched"),
    [((), (), {"mine/D"}), (("mine/D",), (), {"mine/D"}), ((), ("mine",), {"mine/D"})],
)
def test_a_neighbour_in_trouble_is_a_warning(status, wanted, apps, watched):
    payload = ready_payload(Serve(mine="RUNNING", theirs=status), wanted, apps)

    assert watched_deployments(payload, wanted) == watched
    (warning,) = unready_neighbours(payload, watched).values()
    assert f'"theirs" is {status}' in warning
    assert "theirs says no" in warning
    assert "--deployment theirs/" in warning


def test_of_a_neighbours_traceback_the_last_line_is_quoted():
    raised = "Traceback (most recent call last):\n  File ...\nRuntimeError: no weights here\n"
    payload = ready_payload(Serve(raised, mine="RUNNING", theirs="DEPLOY_FAILED"), ())

    (warning,) = unready_neighbours(payload, {"mine/D"}).values()

    assert "Serve says: RuntimeError: no weights here. Mend or delete it" in warning
    assert "Traceback" not in warning


def test_a_neighbour_that_still_starts_is_to_be_waited_for():
    payload = ready_payload(Serve("", mine="RUNNING", theirs="DEPLOYING"), ())

    (warning,) = unready_neighbours(payload, {"mine/D"}).values()

    assert warning == (
        'application "theirs" is DEPLOYING and is not watched, so it has no part in the verdict. '
        "It waits for its first replicas; to test it, name one of its deployments with --deployment "
        "theirs/NAME and --wait 120."
    )


def test_the_warning_is_a_finding_of_the_run():
    payload = ready_payload(Serve(mine="RUNNING", theirs="DEPLOY_FAILED"), ())

    found = start_findings(payload, {"mine/D"}, (), {})

    assert [f.rule for f in found if "theirs" in f.text] == ["application-not-running"]


@pytest.mark.parametrize("status", NEIGHBOUR_STATUSES)
@pytest.mark.parametrize(("wanted", "apps"), [(("theirs/D",), ()), ((), ("theirs",))])
def test_one_that_was_asked_for_decides(status, wanted, apps):
    with pytest.raises(TargetError, match="theirs says no"):
        ready_payload(Serve(mine="RUNNING", theirs=status), wanted, apps)


def test_where_all_failed_the_reason_is_said_at_once():
    with pytest.raises(TargetError, match="a says no") as caught:
        ready_payload(Serve(a="DEPLOY_FAILED", b="DEPLOY_FAILED"), ())

    assert caught.value.retry is RetryAdvice.AGAIN


def test_where_none_runs_yet_one_that_may_come_is_waited_for():
    with pytest.raises(TargetError, match='"b" is DEPLOYING') as caught:
        ready_payload(Serve(a="DEPLOY_FAILED", b="DEPLOYING"), ())

    assert caught.value.retry is RetryAdvice.WAIT


def test_an_application_that_goes_away_is_no_trouble():
    payload = ready_payload(Serve(mine="RUNNING", theirs="DELETING"), ())

    assert unready_neighbours(payload, {"mine/D"}) == {}


def test_a_deployment_that_fails_through_protobuf_7_is_told_what_to_install():
    """The text is Ray 2.44's."""
    said = "'google._upb._message.FieldDescriptor' object has no attribute 'label'"

    with pytest.raises(TargetError) as raised:
        ready_payload(Serve(said=said, mine="DEPLOY_FAILED"), ())

    assert "install protobuf<7 beside Ray on every node" in str(raised.value)
