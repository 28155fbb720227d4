"""A tracker that goes on for another one, from its rows: nothing is told twice, nothing is lost."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.serve_state import parse_payload
from probes.tracker import ReplicaTracker
from scalelag.record.rows import Gap, Poll, Row
from tests.unit.tracker_cases import deployment, replica

STATES = ("STARTING", "RUNNING", "STOPPING")


@st.composite
def answers(draw: st.DrawFn, least: int = 0) -> bytes:
    """An answer of the dashboard: one application with up to two deployments."""
    found = {}
    for name in sorted(draw(st.sets(st.sampled_from(["A", "B"]), min_size=least))):
        shown = draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from(STATES)))
        replicas = [replica(f"{name}{one}", state, node_id="n1") for one, state in shown.items()]
        status = draw(st.sampled_from(["HEALTHY", "UPSCALING"]))
        config = {"autoscaling_config": {"max_replicas": draw(st.integers(1, 2))}}
        found[name] = deployment(*replicas, status=status, deployment_config=config)
    proxies = draw(st.dictionaries(st.sampled_from(["n1", "n2"]), st.sampled_from(["HEALTHY"])))
    return msgspec.json.encode(
        {
            "applications": {"app": {"status": "RUNNING", "deployments": found}},
            "proxies": {node: {"status": status} for node, status in proxies.items()},
            "controller_health_metrics": {"controller_start_time": draw(st.sampled_from([1, 2]))},
            "target_capacity": draw(st.sampled_from([None, 50.0])),
        }
    )


def begun(body: bytes) -> ReplicaTracker:
    tracker = ReplicaTracker(frozenset({"app/A", "app/B"}))
    tracker.begin(parse_payload(body), 0.0)
    return tracker


def seen(tracker: ReplicaTracker, bodies: list[bytes], first: int) -> list[list[Row]]:
    return [
        tracker.rows(parse_payload(body), float(number), number + 0.25)
        for number, body in enumerate(bodies, first)
    ]


def without_lo(row: Row) -> Row:
    return msgspec.structs.replace(row, lo_s=0.0) if hasattr(row, "lo_s") else row


def in_order(rows: list[Row]) -> list[Row]:
    """Rows in an order of their own: that of the replicas of one poll means nothing."""
    return sorted(rows, key=lambda row: msgspec.json.encode(without_lo(row)))


def is_no_later(one: Row, other: Row) -> bool:
    """True if the lower bound of `one`, where there is any, still holds."""
    least, lo_s = getattr(one, "lo_s", None), getattr(other, "lo_s", None)
    return lo_s is None or least is None or least <= lo_s


@settings(max_examples=100, deadline=None)
@given(answers(least=2), st.lists(answers(), min_size=2, max_size=6), st.data())
def test_it_makes_the_rows_that_the_first_would_have_made(
    ready: bytes, bodies: list[bytes], data: st.DataObject
):
    cut = data.draw(st.integers(1, len(bodies) - 1))
    expected = seen(begun(ready), bodies, 1)
    resumed = begun(ready)

    resumed.resume([row for rows in expected[:cut] for row in rows])
    found = seen(resumed, bodies[cut:], cut + 1)

    for ours, theirs in zip(found, expected[cut:], strict=True):
        pairs = list(zip(in_order(ours), in_order(theirs), strict=True))
        assert [without_lo(one) for one, _ in pairs] == [without_lo(other) for _, other in pairs]
        assert all(is_no_later(one, other) for one, other in pairs)


def test_of_a_last_poll_without_its_changes_they_are_told_later():
    body = msgspec.json.encode(
        {"applications": {"app": {"deployments": {"A": deployment(replica("a", "RUNNING"))}}}}
    )
    empty = msgspec.json.encode({"applications": {"app": {"deployments": {"A": deployment()}}}})
    rows = seen(begun(empty), [empty, empty, body], 1)
    resumed = begun(empty)

    # It was killed when the poll was written, and the transition was not.
    resumed.resume([row for poll in rows for row in poll if isinstance(row, Poll | Gap)])
    (_, _, found) = resumed.rows(parse_payload(body), 9.0, 9.25)

    assert (found.lo_s, found.hi_s) == (pytest.approx(2.0), 9.25)  # pyright: ignore[reportAttributeAccessIssue]
