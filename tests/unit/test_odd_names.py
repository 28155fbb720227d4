"""Names of applications and deployments are Serve's: any of them can be named in gates and trends."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.logs.replica_heads import NewReplica
from probes.serve_state import parse_payload
from reports.analysis.gate_checks import ExpectedParts, check_gates
from reports.analysis.gates import parse_gate
from reports.analysis.metrics import is_named, parse_metric, quoted
from reports.analysis.seen.requests_at import application_of
from scalelag.cluster.preflight import watched_deployments
from scalelag.observer.gauges import watched_applications
from scalelag.observer.messages import Access, Setup
from scalelag.record.application_info import ApplicationInfo, application_name
from tests.support.built.step_facts import run as made_run

NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="#"), min_size=1
).filter(lambda name: name == name.strip())


@given(NAMES, NAMES, st.sampled_from(["scale_up.total_s.max", "steps.*.total_s"]))
@example("llm", "LLMServer:qwen--0.5b", "scale_up.total_s.max")
@example("a/b", 'c "d" e.f', "scale_up.total_s.max")
@example("app", "x <= 3: y", "scale_up.total_s.max")
def test_a_gate_on_any_deployment_names_it_and_no_other(app, name, metric):
    key = f"{app}/{name}"

    gate = parse_gate(f"{key}:{metric} <= 20")

    assert (gate.wanted.deployment, gate.limit) == (key, 20.0)
    assert is_named(key, gate.wanted.deployment)
    check_gates([gate], ExpectedParts([key]))


@given(NAMES)
def test_a_part_of_a_metric_in_quotes_is_read_as_it_was(name):
    path = ("load", "names", name, "failed")

    assert parse_metric(f"load.names.{quoted(name)}.failed").path == path


@pytest.mark.parametrize("text", ['"app/a b":scale_up.total_s.max', "app/a b:scale_up.total_s.max"])
def test_a_name_may_stand_in_quotes(text):
    wanted = parse_metric(text)

    assert wanted.deployment is not None
    assert is_named("app/a b", wanted.deployment)


def payload_of(applications):
    return parse_payload(
        json.dumps(
            {
                "applications": {
                    app: {
                        "status": "RUNNING",
                        "deployments": {name: {"status": "HEALTHY"} for name in names},
                    }
                    for app, names in applications.items()
                }
            }
        ).encode()
    )


def test_each_deployment_belongs_to_its_application_where_names_have_slashes():
    there = payload_of({"a": ["b/c", "x"], "a/b": ["d"], "plain": ["M"]})

    assert {key: there.application_of(key) for key in there.deployments()} == {
        "a/b/c": "a",
        "a/x": "a",
        "a/b/d": "a/b",
        "plain/M": "plain",
    }
    assert watched_deployments(there, []) == set(there.deployments())
    assert there.application_of("a/b/d/new", ["a/b/d"]) == "a/b/d"


def test_gauges_are_read_of_no_application_whose_name_begins_that_of_the_tested_one():
    setup = Setup(
        access=Access("http://127.0.0.1:1"),
        prometheus=None,
        embedded=False,
        rate_per_s=1.0,
        budget_ratio=1.0,
        watched=frozenset({"a/b/d"}),
        apps=frozenset({"later/one"}),
        replicas="",
        evidence="",
        seen="",
        anchor_wall_s=0.0,
        anchor_monotonic_s=0.0,
        ready=payload_of({"a": ["b/c", "x"], "a/b": ["d"]}),
        ready_s=0.0,
    )

    assert watched_applications(setup) == {"a/b", "later/one"}


def test_the_log_of_a_replica_is_named_as_serve_names_it():
    assert NewReplica("r1", "a/b/c:d e", ()).log_name == "serve/replica_a_b_c_d e_r1.log"


def test_the_application_of_a_deployment_with_a_slash_in_its_name_is_known():
    recorded = made_run()
    app = ApplicationInfo(("app/x/y",), "/")
    target = msgspec.structs.replace(recorded.info.target, applications={"app": app})
    info = msgspec.structs.replace(recorded.info, target=target)

    assert application_of(msgspec.structs.replace(recorded, info=info), "app/x/y") is app


@pytest.mark.parametrize(
    ("key", "name"),
    [("a/b/c", "a"), ("a/b/d", "a/b"), ("a/b/new", "a/b"), ("other/x/y", "other")],
)
def test_the_application_of_a_record_is_the_one_that_lists_the_deployment_else_the_longest_that_fits(
    key, name
):
    there = {"a": ApplicationInfo(("a/b/c", "a/x")), "a/b": ApplicationInfo(("a/b/d",))}

    assert application_name(key, there) == name
