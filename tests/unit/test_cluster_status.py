"""Ray's cluster status, as Ray's own formatters write it, and what is read from it."""

from datetime import datetime

import msgspec
import pytest
from ray.autoscaler._private.autoscaler import AutoscalerSummary
from ray.autoscaler._private.node_provider_availability_tracker import (
    NodeAvailabilityRecord,
    NodeAvailabilitySummary,
    UnavailableNodeInformation,
)
from ray.autoscaler._private.util import LoadMetricsSummary, format_info_string, parse_usage
from ray.autoscaler.v2.schema import (
    ClusterConstraintDemand,
    ClusterStatus,
    LaunchRequest,
    NodeInfo,
    NodeUsage,
    PlacementGroupResourceDemand,
    RayTaskActorDemand,
    ResourceDemandSummary,
    ResourceRequestByCount,
    ResourceUsage,
    Stats,
)
from ray.autoscaler.v2.utils import ClusterStatusFormatter

from probes.cluster_status import (
    demand_resources,
    free_resources,
    parse_cluster_status,
    parse_free_by_node,
)
from scalelag.errors import TargetError

WHEN = datetime(2026, 11, 22, 17, 45, 1, 234567)  # noqa: DTZ001  Ray writes local time
GIB = 2.0**30
GROUP = "0123456789ab" * 3
"""Id of a placement group."""


def body(text: str | None) -> bytes:
    """The answer to `GET /api/cluster_status?format=1`."""
    return msgspec.json.encode({"result": True, "msg": "", "data": {"clusterStatus": text}})


def legacy(summary: AutoscalerSummary | None = None, *, verbose: bool = False, **load) -> bytes:
    """Status text of the legacy autoscaler for these nodes and this load."""
    fields = {"usage": {}, "resource_demand": [], "pg_demand": [], "request_demand": []}
    metrics = LoadMetricsSummary(**(fields | {"node_types": []} | load))
    summary = summary or nodes()
    return body(format_info_string(metrics, summary, time=WHEN, verbose=verbose))


def nodes(**changed) -> AutoscalerSummary:
    fields = {"active_nodes": {"head": 1}, "idle_nodes": None, "pending_nodes": []}
    fields |= {"pending_launches": {}, "failed_nodes": [], "legacy": True}
    return AutoscalerSummary(**(fields | changed))


def v2(*, verbose: bool = False, **fields) -> bytes:
    """Status text of the v2 autoscaler for this cluster."""
    stats = Stats(request_ts_s=int(WHEN.timestamp()))
    status = ClusterStatus(**({"stats": stats} | fields))
    return body(ClusterStatusFormatter.format(status, verbose=verbose))


def v2_node(node_type: str, number: int = 1, details: str = "") -> NodeInfo:
    usage = NodeUsage([ResourceUsage("CPU", 4.0, 1.0)], idle_time_ms=0)
    return NodeInfo(
        instance_type_name="m5.large",
        ray_node_type_name=node_type,
        instance_id=f"i-{number}",
        ip_address=f"10.0.0.{number}",
        node_id=f"{number:056x}",
        resource_usage=usage,
        details=details,
        node_activity=["Busy workers on node."],
    )


def by_count(bundle: dict[str, float], count: int) -> list[ResourceRequestByCount]:
    return [ResourceRequestByCount(bundle, count)]


# Nodes


def test_a_quiet_cluster_of_the_legacy_autoscaler():
    status = parse_cluster_status(legacy(usage={"CPU": (1.0, 4.0)}))

    assert status.written == str(WHEN)
    assert (status.active, status.idle, status.pending, status.failed) == ({"head": 1}, {}, (), ())
    assert (status.free, status.demands) == ({"CPU": 3.0}, {})


def test_a_quiet_cluster_of_the_v2_autoscaler():
    status = parse_cluster_status(
        v2(active_nodes=[v2_node("head")], cluster_resource_usage=[ResourceUsage("CPU", 4.0, 1.0)])
    )

    assert status.written == "2026-11-22 17:45:01"
    assert (status.active, status.idle, status.pending, status.failed) == ({"head": 1}, {}, (), ())
    assert (status.free, status.demands) == ({"CPU": 3.0}, {})


@pytest.mark.parametrize("verbose", [False, True])
def test_nodes_that_come_and_go_under_the_legacy_autoscaler(verbose):
    unavailable = NodeAvailabilityRecord(
        node_type="gpu",
        is_available=False,
        last_checked_timestamp=WHEN.timestamp(),
        unavailable_node_information=UnavailableNodeInformation("NoQuota", "ask for more"),
    )
    summary = nodes(
        active_nodes={"head": 1, "a worker": 12},
        pending_nodes=[("10.0.0.7", "worker", "waiting-for-ssh")],
        pending_launches={"worker": 2, "gpu": 1},
        failed_nodes=[("10.0.0.9", "worker")],
        node_availability_summary=NodeAvailabilitySummary({"gpu": unavailable}),
    )

    status = parse_cluster_status(legacy(summary, verbose=verbose))

    assert status.active == {"head": 1, "a worker": 12}
    assert status.pending == (
        "worker, 2 launching",
        "gpu, 1 launching",
        "10.0.0.7: worker, waiting-for-ssh",
    )
    no_quota = "gpu: NoQuota (latest_attempt: 17:45:01)" + (" - ask for more" if verbose else "")
    assert status.failed == (no_quota, "worker: NodeTerminated (ip: 10.0.0.9)")


@pytest.mark.parametrize("verbose", [False, True])
def test_nodes_that_come_and_go_under_the_v2_autoscaler(verbose):
    def launch(state: LaunchRequest.Status) -> LaunchRequest:
        return LaunchRequest(
            "m5.large", "worker", 2, state, int(WHEN.timestamp()), details="no capacity"
        )

    status = parse_cluster_status(
        v2(
            verbose=verbose,
            active_nodes=[v2_node("head"), v2_node("worker", 2), v2_node("worker", 3)],
            idle_nodes=[v2_node("worker", 4)],
            pending_launches=[launch(LaunchRequest.Status.PENDING)],
            failed_launches=[launch(LaunchRequest.Status.FAILED)],
            pending_nodes=[v2_node("worker", 5, details="STARTING RAY")],
            failed_nodes=[v2_node("gpu", 6)],
        )
    )

    assert (status.active, status.idle) == ({"head": 1, "worker": 2}, {"worker": 1})
    assert status.pending == ("worker, 1 launching", "i-5: worker, starting ray")
    attempt = "worker: LaunchFailed (latest_attempt: 17:45:01)"
    assert status.failed == (
        attempt + (" - no capacity" if verbose else ""),
        "gpu: NodeTerminated (instance_id: i-6)",
    )


def test_no_node_at_all_is_an_empty_status():
    for answer in (legacy(nodes(active_nodes={})), v2()):
        status = parse_cluster_status(answer)
        assert (status.active, status.idle, status.free) == ({}, {}, {})


def test_the_header_of_old_versions_is_read_as_well():
    text = msgspec.json.decode(legacy())["data"]["clusterStatus"].replace("Active:", "Healthy:")

    assert parse_cluster_status(body(text)).active == {"head": 1}


# Demands

CPU = {"CPU": 1.0}
THING = {"CPU": 0.5, "my_Thing": 2.0}


def test_demands_of_the_legacy_autoscaler():
    group = {"strategy": "PACK", "bundles": [(CPU, 2), ({"GPU": 1.0}, 1)]}

    status = parse_cluster_status(
        legacy(
            resource_demand=[(CPU, 2), (THING, 1), ({f"CPU_group_{GROUP}": 1.0}, 3)],
            pg_demand=[(group, 4)],
            request_demand=[({"CPU": 9.0}, 5)],
        )
    )

    group_text = "{'CPU': 1.0} * 2, {'GPU': 1.0} * 1 (PACK)"
    assert status.demands == {str(CPU): 2 + 3, str(THING): 1, group_text: 4}


def test_demands_of_the_v2_autoscaler():
    group = PlacementGroupResourceDemand(
        bundles_by_count=by_count(CPU, 2), details="1234:STRICT_SPREAD|PENDING"
    )
    demands = ResourceDemandSummary(
        placement_group_demand=[group, group],
        ray_task_actor_demand=[
            RayTaskActorDemand(by_count(CPU, 2)),
            RayTaskActorDemand(by_count(THING, 1)),
        ],
        cluster_constraint_demand=[ClusterConstraintDemand(by_count({"CPU": 9.0}, 5))],
    )

    status = parse_cluster_status(v2(resource_demands=demands))

    group_text = f"{CPU} * 2 (STRICT_SPREAD)"
    assert status.demands == {str(CPU): 2, str(THING): 1, group_text: 2}


@pytest.mark.parametrize(
    ("text", "resources"),
    [
        ("{'CPU': 1.0}", {"CPU": 1.0}),
        ("{'CPU': 1, 'my_Thing': 0.001}", {"CPU": 1.0, "my_Thing": 0.001}),
        ("{'CPU': 1.0} * 2, {'GPU': 1.0, 'CPU': 0.5} * 3 (PACK)", {"CPU": 3.5, "GPU": 3.0}),
        ("{}", {}),
        ("nonsense", {}),
        ("{'CPU': __import__('os')}", {}),
        ("{'CPU': 'many'}", {}),
        ("{1: 2}", {}),
        ("{'CPU': 1.0", {}),
    ],
)
def test_resources_of_a_demand(text, resources):
    assert demand_resources(text) == resources


def test_a_demand_as_parsed_gives_its_resources():
    status = parse_cluster_status(legacy(resource_demand=[(THING, 7)]))

    (text,) = status.demands
    assert demand_resources(text) == THING


# What is free

USAGE = {
    "CPU": (1.0, 8.0),
    "GPU": (0.30000000000000004, 2.0),
    "tiny": (1e-05, 1.0),
    "my resource": (0.0, 3.0),
    "memory": (0.0, 16 * GIB),
    "object_store_memory": (512.0, 2 * GIB),
    "node:10.0.0.1": (0.0, 1.0),
    "accelerator_type:A10": (0.0, 1.0),
}
FREE = {
    "CPU": 7.0,
    "GPU": 1.7,
    "tiny": 1.0,
    "my resource": 3.0,
    "memory": 16 * GIB,
    "object_store_memory": 2 * GIB,
}


def test_what_is_free_under_either_autoscaler():
    usage = [ResourceUsage(name, total, used) for name, (used, total) in USAGE.items()]

    for answer in (legacy(usage=USAGE), v2(cluster_resource_usage=usage)):
        assert parse_cluster_status(answer).free == pytest.approx(FREE, rel=1e-4)


def test_what_a_placement_group_has_reserved_is_taken_whether_used_or_not():
    """8 CPUs, 2 taken by others and 4 by a group that uses 1 of them: 2 are free to others."""
    usage = {
        "CPU": (6.0, 8.0),
        f"CPU_group_{GROUP}": (1.0, 4.0),
        "memory": (3 * GIB, 8 * GIB),
        f"memory_group_{GROUP}": (GIB, 2 * GIB),
    }
    (cpus, memory) = parse_usage(usage, verbose=False)
    assert "reserved in placement groups" in cpus

    assert free_resources([cpus, memory]) == {"CPU": 2.0, "memory": 5 * GIB}


@pytest.mark.parametrize("line", ["", "CPU", "a/b CPU", "1.0/x CPU", "1/2", "--/1 CPU"])
def test_lines_that_are_no_usage_are_passed_over(line):
    assert free_resources([line, "1.0/4.0 CPU"]) == {"CPU": 3.0}


def test_free_on_each_node():
    usage = {"head": USAGE, "worker": {"CPU": (0.0, 2.0)}}
    text = {node: "\n".join(parse_usage(used, verbose=True)) for node, used in usage.items()}
    answer = {"result": True, "data": {"summary": [], "nodeLogicalResources": text}}

    free = parse_free_by_node(msgspec.json.encode(answer))

    assert free["worker"] == {"CPU": 2.0}
    assert free["head"] == pytest.approx(FREE | {"accelerator_type:A10": 1.0}, rel=1e-4)


@pytest.mark.parametrize(
    ("usage", "demands"),
    [("Usage", "Demands"), ("Total Usage", "Total Demands"), ("Total Usage", "Pending Demands")],
    ids=["up to 2.45", "2.46 to 2.49", "since 2.50"],
)
def test_the_sections_of_every_version_are_read(usage, demands):
    text = (
        "======== Autoscaler status: 2026-11-29 21:00:00.000000 ========\n"
        "Node status\n"
        "---------------------------------------------------------------\n"
        "Active:\n 1 node_1\nPending:\n (no pending nodes)\n"
        "Recent failures:\n (no failures)\n\n"
        "Resources\n"
        "---------------------------------------------------------------\n"
        f"{usage}:\n 1.0/4.0 CPU\n 0B/1.00GiB memory\n\n"
        f"{demands}:\n {{'CPU': 8.0}}: 2+ pending tasks/actors\n"
    )

    status = parse_cluster_status(body(text))

    assert status.free == {"CPU": 3.0, "memory": GIB}
    assert status.demands == {"{'CPU': 8.0}": 2}


# Answers that are none


def test_an_error_of_the_autoscalers_below_the_status_is_not_taken_for_a_part_of_it():
    text = msgspec.json.decode(legacy(resource_demand=[(CPU, 2)]))["data"]["clusterStatus"]
    error = (
        "\nThe autoscaler failed with the following error:\nTraceback\n  File x: 2+ pending tasks"
    )

    assert parse_cluster_status(body(text + error)) == parse_cluster_status(body(text))


def test_the_breakdown_by_node_of_a_verbose_status_is_not_counted_twice():
    load = {"usage": {"CPU": (1.0, 4.0)}, "usage_by_node": {"n1": {"CPU": (1.0, 4.0)}}}

    assert parse_cluster_status(legacy(verbose=True, **load)).free == {"CPU": 3.0}


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"\xff\xfe",
        b"[1]",
        b"{}",
        body(None),
        body("No cluster status. It may take a few seconds for the Ray internal services to start"),
    ],
)
def test_what_is_no_status_is_said(answer):
    with pytest.raises(TargetError, match="status"):
        parse_cluster_status(answer)


@pytest.mark.parametrize("answer", [b"<html>", b"[1]"])
def test_what_is_no_summary_of_nodes_is_said(answer):
    with pytest.raises(TargetError, match="nodes"):
        parse_free_by_node(answer)


def test_a_summary_without_resources_tells_nothing():
    assert parse_free_by_node(b'{"data": {"summary": []}}') == {}
