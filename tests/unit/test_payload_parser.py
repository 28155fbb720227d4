"""Parts that read as in the answer before are not parsed again, and no row is lost by it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.serve_state import PayloadParser, parse_payload
from probes.tracker import ReplicaTracker
from scalelag.errors import TargetError
from tests.unit.tracker_cases import deployment, replica

STATES = ("STARTING", "RUNNING", "STOPPING")
DEPLOYMENTS = st.dictionaries(
    st.sampled_from("MN"),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(STATES), max_size=2),
    max_size=2,
)
ANSWERS = st.lists(
    st.dictionaries(
        st.sampled_from(("one", "two")),
        st.tuples(st.sampled_from(("RUNNING", "DEPLOYING")), DEPLOYMENTS),
    ),
    min_size=2,
    max_size=12,
)
"""Applications of each answer: status and, by deployment, the states of its replicas."""


def body_of(applications: dict[str, tuple[str, dict[str, dict[str, str]]]]) -> bytes:
    return msgspec.json.encode(
        {
            "applications": {
                app: {
                    "status": status,
                    "deployments": {
                        name: deployment(*(replica(one, state) for one, state in replicas.items()))
                        for name, replicas in deployments.items()
                    },
                }
                for app, (status, deployments) in applications.items()
            }
        }
    )


def test_an_application_that_reads_as_before_is_the_same_object():
    parser = PayloadParser()
    first = parser.parse(body_of({"one": ("RUNNING", {"M": {"a": "STARTING"}}), "two": ("", {})}))
    second = parser.parse(body_of({"one": ("RUNNING", {"M": {"a": "RUNNING"}}), "two": ("", {})}))

    assert second.applications["two"] is first.applications["two"]
    assert [one.state for one in second.deployments()["one/M"].replicas] == ["RUNNING"]


def test_an_answer_that_makes_no_sense_changes_nothing():
    parser = PayloadParser()
    body = body_of({"one": ("RUNNING", {"M": {"a": "RUNNING"}})})
    first = parser.parse(body)
    for odd in (b"", b"{}", body[:-9], body.replace(b'"a"', b"7"), b'{"applications": {"one": 3}}'):
        with pytest.raises(TargetError, match="cannot be parsed"):
            parser.parse(odd)

    assert parser.parse(body).applications["one"] is first.applications["one"]


@given(answers=ANSWERS, watched=st.booleans(), resumed=st.booleans())
def test_rows_are_those_of_answers_that_are_each_parsed_alone(
    answers: list[dict[str, tuple[str, dict[str, dict[str, str]]]]],
    *,
    watched: bool,
    resumed: bool,
):
    keys = frozenset({"one/M", "two/N"}) if watched else None
    together, alone = ReplicaTracker(keys), ReplicaTracker(keys)
    parser = PayloadParser()
    bodies = [body_of(answer) for answer in answers]
    together.begin(parser.parse(bodies[0]), 0.0)
    alone.begin(parse_payload(bodies[0]), 0.0)
    rows = []
    for number, body in enumerate(bodies, 1):
        expected = alone.rows(parse_payload(body), float(number), number + 0.25)
        assert together.rows(parser.parse(body), float(number), number + 0.25) == expected
        rows += expected
        if resumed and number == len(bodies) // 2:
            together, alone, parser = ReplicaTracker(keys), ReplicaTracker(keys), PayloadParser()
            for tracker in (together, alone):
                tracker.begin(parse_payload(bodies[0]), 0.0)
                tracker.resume(rows)
