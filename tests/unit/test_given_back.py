"""A cluster that is not ours is given back as events found it."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scalelag.cluster.events import ReadyEvent, carry_out
from scalelag.cluster.given_back import give_back, undo_of, with_event
from scalelag.cluster.preflight import Patience
from scalelag.plan.events import parse_event
from tests.unit.deploy_cases import SETTINGS
from tests.unit.given_back_cases import PATIENCE, Cluster, app, ready, there


def done(serve, *texts):
    """Carry out events, and return what is noted of them."""
    changed = {}
    for one in ready(serve, *texts):
        changed = with_event(changed, one, there(serve))
        carry_out(serve, one)
    return changed


@pytest.fixture
def newer(tmp_path):
    """A Serve config file with another version of `one`, and `new`, which is not there."""
    return config_file(tmp_path / "new.yaml", app("one", 3, version=2), app("new"))


def config_file(path, *apps):
    path.write_text(yaml.safe_dump({"applications": list(apps)}))
    return path


def test_a_target_that_an_event_set_is_as_before():
    serve = Cluster(app("one"), targets={"one": 5})
    changed = done(serve, "1s: scale one/D to 8", "2s: scale one/D to 3")

    lines = give_back(serve, changed, PATIENCE)

    assert serve.targets == {"one": 5}
    assert lines == ["the target of one/D is 5 replicas again"]


def test_an_application_that_an_event_deleted_is_there_again_with_its_target():
    serve = Cluster(app("one"), app("two"), targets={"one": 5}, **SETTINGS)
    before = serve.state
    changed = done(serve, "1s: delete one")

    lines = give_back(serve, changed, PATIENCE)

    assert serve.state == before
    assert lines == [
        "the application one is deployed again as it was",
        "the target of one/D is 5 replicas again",
    ]


def test_the_version_before_is_there_again_and_what_a_file_brought_is_taken_away(newer):
    serve = Cluster(app("one"), app("two"), **SETTINGS)
    before = serve.state
    changed = done(serve, f"1s: deploy {newer}")

    lines = give_back(serve, changed, PATIENCE)

    assert serve.state == before
    assert lines == [
        "the application one is deployed again as it was",
        "the application new, which an event deployed, is taken away",
    ]


STEPS = st.lists(
    st.sampled_from(
        ["scale one/D to 4", "scale one/D to 1", "scale two/D to 7", "delete one", "delete two"]
        + [f"deploy {name}.yaml" for name in ("newer", "settings", "both")]
    ),
    max_size=6,
)


@given(STEPS, st.integers(1, 4), st.integers(1, 4))
def test_whatever_events_do_all_is_as_before_and_a_second_time_nothing_is_left(steps, one, two):
    files = {
        "newer": [app("one", 3, version=2), app("new")],
        "settings": [app("two", 4)],
        "both": [app("one", 3), app("two", 2, version=7)],
    }
    serve = Cluster(app("one"), app("two"), targets={"one": one, "two": two})
    before, changed = serve.state, {}
    for text in steps:
        name = text.split()[1].partition(".")[0]
        if text.startswith("scale") and text.split()[1].partition("/")[0] not in serve.targets:
            continue  # Serve would refuse it
        event = parse_event(f"1s: {text}")
        apps = tuple(files.get(name, ())) if event.kind == "deploy" else ()
        changed = _carried_out(serve, changed, event, apps)

    give_back(serve, changed, PATIENCE)

    assert serve.state == before
    assert not undo_of(changed, there(serve)).is_needed
    assert give_back(serve, changed, PATIENCE) == []


def _carried_out(serve, changed, event, apps):
    name, _, deployment = (event.name or "").partition("/")
    one = (
        ReadyEvent(1, event, apps=apps)
        if event.kind == "deploy"
        else ReadyEvent(1, event, name, deployment or None)
    )
    changed = with_event(changed, one, there(serve))
    carry_out(serve, one)
    return changed


def scaled_by_others(serve):
    serve.targets["one"] = 6


def deployed_by_others(serve):
    serve.put("", {"applications": [app("one", version=9)]})


def deleted_by_others(serve):
    serve.put("", {"applications": []})


@pytest.mark.parametrize(
    ("text", "others", "what"),
    [
        ("scale one/D to 8", scaled_by_others, "one/D"),
        ("scale one/D to 8", deleted_by_others, "one"),
        ("delete one", deployed_by_others, "one"),
        ("deploy NEWER", deployed_by_others, "one"),
        ("deploy NEWER", deleted_by_others, "one"),
    ],
)
def test_what_somebody_else_has_changed_since_stays_and_is_named(newer, text, others, what):
    serve = Cluster(app("one"))
    changed = done(serve, f"1s: {text.replace('NEWER', str(newer))}")
    others(serve)
    after = serve.state

    lines = give_back(serve, changed, PATIENCE)

    assert serve.state == after
    assert lines[-1] == f"{what} is left as it is: somebody has changed it since our event"


def test_a_target_waits_until_serve_has_deployed_the_application_again():
    serve = Cluster(app("one"), targets={"one": 5})
    changed = done(serve, "1s: delete one")
    serve.deploying = frozenset({"one"})

    def come(_seconds):
        serve.deploying = frozenset()

    give_back(serve, changed, Patience(60.0, time.monotonic, come))

    assert serve.targets == {"one": 5}
