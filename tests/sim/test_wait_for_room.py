"""`--wait-for-room`, asked of a stand-in: room that is there, that comes, and that never does."""

import time
from collections.abc import Iterator

import pytest

from probes.dashboard import Dashboard
from scalelag.cluster.preflight import Patience
from scalelag.cluster.room import await_room
from scalelag.errors import EXIT_TARGET, RetryAdvice, TargetError
from tests.support.standin.process import running_standin
from tests.support.standin.script import DeploymentScript, Fault, ReplicaScript, Script

MODEL = "default/Model"


def scaling(*gone_s: float | None, at_most: int, cpus: float = 1.0) -> DeploymentScript:
    """One replica for each of `gone_s`, the time at which it goes; None: it stays."""
    replicas = tuple(
        ReplicaScript(f"{n:08d}", -60.0, -59.0, -58.0, gone_s=gone_at)
        for n, gone_at in enumerate(gone_s)
    )
    return DeploymentScript(
        targets=((-60.0, len(gone_s)),),
        replicas=replicas,
        autoscaling={"max_replicas": at_most},
        required_resources={"CPU": cpus},
    )


def beside_another(gone_s: float | None, **options) -> Script:
    """4 CPUs, of which `other` has 2 until `gone_s`; `Model` has 1 and may need 2 more."""
    return Script(
        applications={
            "default": {"Model": scaling(None, at_most=3)},
            "other": {"Hog": scaling(gone_s, at_most=1, cpus=2.0)},
        },
        cpu_total=4.0,
        **options,
    )


@pytest.fixture
def dashboard() -> Iterator[object]:
    made: list[Dashboard] = []

    def make(url: str) -> Dashboard:
        made.append(Dashboard(url, time.time))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Steps:
    """A clock of its own: sleeping takes no time."""

    def __init__(self, wait_s: float) -> None:
        self.slept_s = 0.0
        self.said: list[str] = []
        self.patience = Patience(wait_s, lambda: self.slept_s, self._sleep, every_s=1.0)

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def await_room(self, client: Dashboard, *watched: str) -> None:
        await_room(client, watched, self.patience, self.said.append)


def test_where_there_is_room_nothing_is_said(dashboard):
    """A second poll shows that Ray has updated its status since the wait began."""
    steps = Steps(wait_s=60.0)

    with running_standin(beside_another(gone_s=-1.0)) as standin:
        steps.await_room(dashboard(standin.url), MODEL)

    assert (steps.said, steps.slept_s) == ([], 1.0)


def test_room_that_comes_is_waited_for_and_that_is_said_once(dashboard):
    said: list[str] = []
    patience = Patience(20.0, time.monotonic, time.sleep, every_s=0.1)

    with running_standin(beside_another(gone_s=1.0)) as standin:
        await_room(dashboard(standin.url), [MODEL], patience, said.append)
        there_s = standin.now_s()

    (text,) = said
    assert there_s >= 1.0
    assert "waiting up to 20 s for room" in text
    assert "CPU: 2 needed for max_replicas of default/Model, 1 free, 1 short" in text


def test_room_that_does_not_come_is_an_error_with_its_numbers(dashboard):
    steps = Steps(wait_s=3.0)

    with (
        running_standin(beside_another(gone_s=None)) as standin,
        pytest.raises(TargetError) as caught,
    ):
        steps.await_room(dashboard(standin.url), MODEL)

    text = str(caught.value)
    assert "CPU: 2 needed for max_replicas of default/Model, 1 free, 1 short" in text
    assert "(waited 3 s)" in text
    assert "--wait-for-room" in text
    assert caught.value.exit_code == EXIT_TARGET
    assert caught.value.retry is RetryAdvice.WAIT
    assert steps.slept_s == 3.0
    assert len(steps.said) == 1


def test_pieces_on_two_nodes_are_not_room(dashboard):
    """Each of two nodes has 4 CPUs and 1.5 free: 3 in sum, and no 2 on one of them."""
    replicas = tuple(
        ReplicaScript(f"{n:08d}", -60.0, -59.0, -58.0, node_id=node * 7)
        for n, node in enumerate(["1e5ca1e1", "2e5ca1e2"])
    )
    hog = DeploymentScript(
        targets=((-60.0, 2),), replicas=replicas, required_resources={"CPU": 2.5}, autoscaling=None
    )
    script = Script(applications={"default": {"Model": scaling(at_most=1, cpus=2.0), "Hog": hog}})
    steps = Steps(wait_s=1.0)

    with running_standin(script) as standin, pytest.raises(TargetError) as caught:
        steps.await_room(dashboard(standin.url), MODEL)

    assert "of 2 CPU each; the nodes have room for 0" in str(caught.value)


def test_room_that_cannot_be_known_is_no_room(dashboard):
    steps = Steps(wait_s=1.0)
    fault = Fault("http_status", path="/api/cluster_status")

    with (
        running_standin(beside_another(gone_s=-1.0, faults=(fault,))) as standin,
        pytest.raises(TargetError, match="is not known"),
    ):
        steps.await_room(dashboard(standin.url), MODEL)


def test_a_status_from_before_the_wait_counts_only_when_no_other_comes(monkeypatch, dashboard):
    """The legacy autoscaler writes it every 5 s: what started since then is not in it."""
    client_of = dashboard
    steps = Steps(wait_s=4.0)

    with running_standin(beside_another(gone_s=-1.0)) as standin:
        client = client_of(standin.url)
        status = client.get("/api/cluster_status?format=1")
        fresh = client.get

        def get(path: str):
            return status if path.startswith("/api/cluster_status") else fresh(path)

        monkeypatch.setattr(client, "get", get)
        steps.await_room(client, MODEL)

    assert (steps.said, steps.slept_s) == ([], 4.0)
