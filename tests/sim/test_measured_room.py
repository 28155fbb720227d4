"""Room for more replicas on a cluster, as its status tells it."""

import pytest

from probes.dashboard import APPLICATIONS_PATH, Dashboard
from probes.serve_state import parse_payload
from scalelag.cluster.room import measure_room
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import (
    DeploymentScript,
    Fault,
    ReplicaScript,
    Script,
)

# Room


def room_for(cpu_total: float, **deployments: DeploymentScript) -> Script:
    return Script(applications={"default": deployments}, cpu_total=cpu_total)


def scaling(running: int, at_most: int, cpus: float) -> DeploymentScript:
    replicas = tuple(ReplicaScript(f"{n:08d}", -60.0, -59.0, -58.0) for n in range(running))
    return DeploymentScript(
        targets=((-60.0, running),),
        replicas=replicas,
        autoscaling={"max_replicas": at_most},
        required_resources={"CPU": cpus},
    )


def room_of(client: Dashboard):
    return measure_room(client, parse_payload(client.get(APPLICATIONS_PATH).body))


def test_room_for_every_replica_is_no_shortage(dashboard):
    script = room_for(4.0, Model=scaling(running=1, at_most=4, cpus=1.0))

    with running_standin(script) as standin:
        room = room_of(dashboard(standin.url))

    assert room.free["CPU"] == pytest.approx(3.0)
    assert [(need.deployment, need.more_replicas) for need in room.needs] == [("default/Model", 3)]
    assert room.shortages == ()


def test_a_shortage_says_by_how_much(dashboard):
    """Nine replicas more of 0.5 CPU are 4.5; 4 less the 0.5 that one has taken are free."""
    script = room_for(4.0, Model=scaling(running=1, at_most=10, cpus=0.5))

    with running_standin(script) as standin:
        room = room_of(dashboard(standin.url))

    (shortage,) = room.shortages
    assert (shortage.resource, shortage.needed, shortage.free) == ("CPU", 4.5, 3.5)
    assert "4.5 needed" in shortage.text
    assert "3.5 free" in shortage.text
    assert "1 short" in shortage.text


def test_deployments_share_what_is_free(dashboard):
    """Each alone would have room: 2 of 3 CPUs; together they need 4."""
    one, other = (scaling(running=0, at_most=2, cpus=1.0) for _ in range(2))

    with running_standin(room_for(3.0, One=one, Other=other)) as standin:
        room = room_of(dashboard(standin.url))

    (shortage,) = room.shortages
    assert (shortage.needed, shortage.free) == (4.0, 3.0)


def test_a_resource_that_no_node_has_is_short_by_all_of_it(dashboard):
    deployment = DeploymentScript(
        targets=((-60.0, 0),),
        replicas=(),
        autoscaling={"min_replicas": 0, "max_replicas": 2},
        required_resources={"GPU": 1.0},
    )

    with running_standin(room_for(4.0, Model=deployment)) as standin:
        room = room_of(dashboard(standin.url))

    (shortage,) = room.shortages
    assert (shortage.resource, shortage.needed, shortage.free) == ("GPU", 2.0, 0.0)


def test_a_fixed_number_of_replicas_that_is_reached_needs_nothing(dashboard):
    deployment = DeploymentScript(
        targets=((-60.0, 1),), replicas=(steady_replica(),), autoscaling=None
    )

    with running_standin(room_for(0.1, Model=deployment)) as standin:
        room = room_of(dashboard(standin.url))

    assert room.needs == ()
    assert room.shortages == ()


def test_room_is_known_of_an_old_ray_too(dashboard):
    """2.10 has no `required_resources`: what its actor options ask for counts."""
    script = Script(
        applications={"default": {"Model": scaling(running=1, at_most=10, cpus=0.5)}},
        cpu_total=4.0,
        schema="2.10",
    )

    with running_standin(script) as standin:
        room = room_of(dashboard(standin.url))

    (shortage,) = room.shortages
    assert (shortage.needed, shortage.free) == (4.5, 3.5)


@pytest.mark.parametrize("kind", ["http_status", "garbage"])
def test_room_that_cannot_be_known_is_null_with_a_reason(dashboard, kind):
    fault = Fault(kind, path="/api/cluster_status")

    with running_standin(one_deployment(steady_replica(), faults=(fault,))) as standin:
        room = room_of(dashboard(standin.url))

    assert room.free is None
    assert room.reason
    assert room.shortages == ()
