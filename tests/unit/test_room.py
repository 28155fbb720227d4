"""Room for `max_replicas`: in sum over the nodes, and on each of them."""

import msgspec
import pytest

from probes.cluster_status import parse_cluster_status
from probes.dashboard import CLUSTER_STATUS_PATH, NODES_PATH, DashboardError, Reply
from probes.serve_state import ServePayload, parse_payload
from scalelag.cluster.room import Need, Room, measure_room, misfits, shortages

MODEL = "default/Model"


class Pages:
    """A dashboard with these pages; others do not answer."""

    url = "http://dashboard"

    def __init__(self, **texts: object) -> None:
        self._texts = texts

    def get(self, path: str) -> Reply:
        name = {CLUSTER_STATUS_PATH: "status", NODES_PATH: "nodes"}[path]
        if name not in self._texts:
            raise DashboardError(f"{path} answered 403: no", "HTTP 403", 403)
        return Reply(msgspec.json.encode({"data": self._texts[name]}), 1.0, 1.1)


def status(*usage: str) -> dict[str, str]:
    lines = ["== Autoscaler status: noon ==", "Active:", " 1 head", "Total Usage:"]
    return {"clusterStatus": "\n".join([*lines, *(f" {line}" for line in usage)])}


def nodes(*free_cpus: float) -> dict[str, dict[str, str]]:
    texts = {f"n{index}": f"0.0/{cpus} CPU" for index, cpus in enumerate(free_cpus)}
    return {"nodeLogicalResources": texts}


def serve(*, at_most: int, each: dict[str, float], running: int = 0, **config: object):
    replicas = [
        {"replica_id": f"r{index}", "state": "RUNNING", "node_id": "n0"} for index in range(running)
    ]
    deployment = {
        "required_resources": each,
        "deployment_config": {"autoscaling_config": {"max_replicas": at_most}} | config,
        "replicas": replicas,
    }
    applications = {"default": {"deployments": {"Model": deployment, "Other": deployment}}}
    return parse_payload(msgspec.json.encode({"applications": applications}))


def look(payload: ServePayload, *watched: str, **pages: object) -> Room:
    return measure_room(Pages(**pages), payload, watched)  # pyright: ignore[reportArgumentType]


def need(count: int, most_per_node: int | None = None, on_n0: int = 0, **each: float) -> Need:
    total = {name: count * amount for name, amount in each.items()}
    return Need(MODEL, count, each, total, most_per_node, {"n0": on_n0})


# In sum


def test_a_shortage_names_the_resource_the_deployments_and_the_numbers():
    room = look(serve(at_most=4, each={"CPU": 1.0}), status=status("1.0/4.0 CPU"))

    (text,) = room.lacks
    assert text == (
        "CPU: 8 needed for max_replicas of default/Model, default/Other, 3 free, 5 short"
    )


def test_only_deployments_that_are_watched_count():
    payload = serve(at_most=3, each={"CPU": 1.0})

    room = look(payload, MODEL, status=status("1.0/4.0 CPU"), nodes=nodes(3.0))

    assert [found.deployment for found in room.needs] == [MODEL]
    assert room.lacks == []


def test_the_room_says_when_ray_looked():
    text = status("1.0/4.0 CPU")
    room = look(serve(at_most=1, each={"CPU": 1.0}), status=text)

    assert room.written == parse_cluster_status(msgspec.json.encode({"data": text})).written
    assert room.written == "noon"


@pytest.mark.parametrize("resource", ["accelerator_type:A10", "node:10.0.0.1"])
def test_what_the_status_never_tells_of_is_not_taken_for_short(resource):
    assert shortages([need(2, **{resource: 0.001})], {"CPU": 4.0}) == []


def test_without_a_status_nothing_is_known():
    room = look(serve(at_most=9, each={"CPU": 1.0}))

    assert (room.free, room.lacks) == (None, [])
    assert "403" in (room.reason or "")


# On single nodes


def test_pieces_on_two_nodes_make_no_room_for_a_whole_replica():
    """3 + 3 CPUs are free in sum, for two replicas of 2 more: one on each node, and no third."""
    payload = serve(at_most=3, each={"CPU": 2.0})

    room = look(payload, MODEL, status=status("0.0/6.0 CPU"), nodes=nodes(3.0, 3.0))

    (text,) = room.lacks
    assert room.shortages == ()
    assert text == (
        "default/Model: 3 more replicas needed for max_replicas, of 2 CPU each; "
        "the nodes have room for 2"
    )


def test_what_fits_on_single_nodes_is_no_misfit():
    payload = serve(at_most=3, each={"CPU": 2.0})

    room = look(payload, MODEL, status=status("0.0/6.0 CPU"), nodes=nodes(4.0, 2.0))

    assert room.lacks == []


def test_a_shortage_in_sum_is_not_told_twice():
    payload = serve(at_most=9, each={"CPU": 2.0})

    room = look(payload, MODEL, status=status("0.0/6.0 CPU"), nodes=nodes(3.0, 3.0))

    assert len(room.shortages) == 1
    assert room.misfits == ()


@pytest.mark.parametrize("pages", [{}, {"nodes": {}}])
def test_without_a_word_of_single_nodes_the_sum_counts(pages):
    payload = serve(at_most=3, each={"CPU": 2.0})

    assert look(payload, MODEL, status=status("0.0/6.0 CPU"), **pages).lacks == []


@pytest.mark.parametrize(
    ("wanted", "free", "fitting"),
    [
        (need(4, CPU=1.0), {"n0": {"CPU": 2.0}, "n1": {"CPU": 1.5}}, 3),
        (need(2, CPU=0.1), {"n0": {"CPU": 0.09}}, 0),
        (need(2, CPU=1.0, GPU=1.0), {"n0": {"CPU": 4.0}, "n1": {"CPU": 4.0, "GPU": 1.0}}, 1),
        (need(2, most_per_node=1, CPU=1.0), {"n0": {"CPU": 4.0}}, 1),
        (need(2, most_per_node=2, on_n0=1, CPU=1.0), {"n0": {"CPU": 4.0}}, 1),
        (need(2, most_per_node=1, on_n0=2, CPU=1.0), {"n0": {"CPU": 4.0}}, 0),
        (need(1, **{"accelerator_type:A10": 0.001}), {"n0": {"CPU": 4.0}}, 0),
    ],
)
def test_how_many_fit(wanted, free, fitting):
    (misfit,) = misfits([wanted], free)

    assert misfit.fitting == fitting
    assert f"room for {fitting}" in misfit.text


@pytest.mark.parametrize(
    ("wanted", "free"),
    [
        (need(3, CPU=0.1), {"n0": {"CPU": 0.1 + 0.1 + 0.1 - 1e-12}}),
        (need(3), {"n0": {}}),
        (need(3, CPU=0.0), {"n0": {}}),
        (need(3, **{"node:10.0.0.1": 0.1}), {"n0": {"CPU": 1.0}}),
        (need(2, most_per_node=1, CPU=1.0), {"n0": {"CPU": 4.0}, "n1": {"CPU": 1.0}}),
        (need(9, CPU=1.0), {}),
    ],
)
def test_what_fits(wanted, free):
    assert misfits([wanted], free) == []


def test_a_limit_per_node_is_named():
    (misfit,) = misfits([need(2, most_per_node=1, CPU=1.0)], {"n0": {"CPU": 4.0}})

    assert "at most 1 on a node" in misfit.text


# Settings in effect


def with_app(payload: ServePayload, **app: object) -> ServePayload:
    """The payload with fields of its application, and `target_capacity` of Serve, changed."""
    body = msgspec.json.decode(msgspec.json.encode(payload))
    capacity = app.pop("target_capacity", None)
    body["applications"]["default"] |= app
    return parse_payload(msgspec.json.encode(body | {"target_capacity": capacity}))


def test_under_a_target_capacity_only_what_that_allows_is_needed():
    payload = with_app(serve(at_most=8, each={"CPU": 1.0}), target_capacity=50)

    assert look(payload, MODEL, status=status("0.0/4.0 CPU")).lacks == []
    (text,) = look(payload, MODEL, status=status("0.0/3.0 CPU")).lacks
    assert text == (
        "CPU: 4 needed for max_replicas at target_capacity 50 of default/Model, 3 free, 1 short"
    )


def test_a_fixed_number_is_named_as_such():
    deployment = {"deployment_config": {"num_replicas": 4}, "required_resources": {"CPU": 1.0}}
    applications = {"default": {"deployments": {"Model": deployment}}}
    payload = parse_payload(msgspec.json.encode({"applications": applications}))

    (text,) = look(payload, status=status("0.0/3.0 CPU")).lacks
    assert text.startswith("CPU: 4 needed for num_replicas of default/Model")


BUNDLES = [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}]


def of_bundles(at_most: int) -> ServePayload:
    listed = [{"name": "Model", "placement_group_bundles": BUNDLES}]
    payload = serve(at_most=at_most, each={"CPU": 1.0})
    return with_app(payload, deployed_app_config={"deployments": listed})


def test_a_placement_group_needs_all_of_its_bundles_and_is_named():
    """Each replica is 2 CPUs and a GPU, although its actor asks for 1 CPU."""
    room = look(of_bundles(2), MODEL, status=status("0.0/4.0 CPU", "0.0/1.0 GPU"))

    (text,) = room.lacks
    assert text == (
        "GPU: 2 needed for max_replicas of default/Model (each replica a placement group of "
        "{1 CPU, 1 GPU} + {1 CPU}), 1 free, 1 short"
    )


def test_bundles_of_one_group_may_stand_on_two_nodes():
    free = {"n0": {"CPU": 1.0, "GPU": 1.0}, "n1": {"CPU": 1.0}}
    two = msgspec.structs.replace(need(2, CPU=2.0, GPU=1.0), bundles=tuple(BUNDLES))

    assert misfits([msgspec.structs.replace(two, more_replicas=1)], free) == []
    assert [misfit.fitting for misfit in misfits([two], free)] == [1]


def test_an_external_scaler_needs_what_it_has_asked_for():
    payload = with_app(serve(at_most=8, each={"CPU": 1.0}), external_scaler_enabled=True)
    deployment = {"deployment_config": {"num_replicas": 1}, "target_num_replicas": 3}
    body = msgspec.json.decode(msgspec.json.encode(payload))
    body["applications"]["default"]["deployments"] = {"Model": deployment}

    room = look(parse_payload(msgspec.json.encode(body)), status=status("0.0/2.0 CPU"))

    assert [one.more_replicas for one in room.needs] == [3]
