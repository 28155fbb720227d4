"""A cluster that is not ours is given back as events found it."""

import json
import os
import subprocess
import sys
import time

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from probes.dashboard import DashboardError, Reply
from probes.serve_state import parse_payload
from scalelag.cluster.events import ReadyEvent, carry_out, ready_events
from scalelag.cluster.given_back import KeptChanges, give_back, undo_of, with_event
from scalelag.cluster.left_behind import JournalEntry, journal_folder, note
from scalelag.cluster.preflight import Patience
from scalelag.cluster.take_away import how_to_undo, kept_on, left_on, take_away
from scalelag.plan.events import parse_event
from tests.unit.test_deploy import SETTINGS, Serve
from tests.unit.test_take_away import target_of

PATIENCE = Patience(0.0, time.monotonic, time.sleep)


def app(name, replicas=2, version=1):
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "theirs:app",
        "args": {"version": version},
        "external_scaler_enabled": True,
        "deployments": [{"name": "D", "num_replicas": replicas}],
    }


class Cluster(Serve):
    """Serve as far as targets go: a deployment has that of its configuration, until the API sets it.

    What is deployed anew has its configuration's target again, and one that stays keeps its own.
    """

    def __init__(self, *apps, targets=None, **more):
        super().__init__(*apps, **more)
        self.targets = {one["name"]: configured(one) for one in apps} | (targets or {})
        self.refuses = False
        self.deploying = frozenset()

    def get(self, path):
        answer = json.loads(super().get(path).body)
        for name, found in answer["applications"].items():
            config = found["deployed_app_config"]
            if config is None:
                continue
            found["status"] = "DEPLOYING" if name in self.deploying else found["status"]
            found["external_scaler_enabled"] = True
            found["deployments"] = {
                "D": {
                    "status": "HEALTHY",
                    "replicas": [
                        {"replica_id": f"r{i}", "state": "RUNNING"}
                        for i in range(self.targets[name])
                    ],
                    "target_num_replicas": self.targets[name],
                    "deployment_config": {"num_replicas": configured(config)},
                }
            }
        return Reply(json.dumps(answer).encode(), 0.0, 0.0)

    def put(self, path, body):
        if self.refuses:
            raise DashboardError("no", "HTTP 400", 400)
        before = {one["name"]: one for one in self.document["applications"]}
        super().put(path, json.loads(json.dumps(body)))
        after = {one["name"]: one for one in self.document["applications"]}
        self.targets = {
            name: self.targets[name] if before.get(name) == one else configured(one)
            for name, one in after.items()
        }
        return Reply(b"{}", 5.0, 5.1)

    def post(self, path, body):
        _, _, rest = path.partition("/applications/")
        self.targets[rest.partition("/")[0]] = body["target_num_replicas"]
        return Reply(b"{}", 7.0, 7.1)

    @property
    def state(self):
        """Everything that a run may change."""
        apps = {one["name"]: one for one in self.document["applications"]}
        return {**self.document, "applications": apps}, dict(self.targets)


def configured(config):
    return config["deployments"][0]["num_replicas"]


def there(serve):
    return parse_payload(serve.get("").body)


def ready(serve, *texts):
    """Events, checked: of an application that is not there yet, too."""
    payload = there(serve)
    events = [parse_event(text) for text in texts]
    return ready_events(events, payload, frozenset(payload.deployments()), serve, "2.60.0")


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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return journal_folder({"XDG_STATE_HOME": str(tmp_path)})


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


class Run:
    """A run's events on a cluster, kept in the journal of `folder`."""

    def __init__(self, serve, folder, parent=0):
        self.serve = serve
        self.kept = KeptChanges(serve.url, folder, parent)

    def does(self, *texts):
        for one in ready(self.serve, *texts):
            self.kept.note(one, there(self.serve))
            carry_out(self.serve, one)


def test_changes_are_in_the_journal_until_they_are_given_back(folder, capsys):
    serve = Cluster(app("one"), **SETTINGS)
    before = serve.state
    run = Run(serve, folder)

    run.does("1s: scale one/D to 8", "2s: delete one")
    (path,) = folder.iterdir()
    mode, entry = path.stat().st_mode, msgspec.json.decode(path.read_bytes(), type=JournalEntry)
    run.kept.give_back(serve, PATIENCE)

    assert mode & 0o077 == 0
    assert (entry.changed["one"].set_to, entry.changed["one"].deleted) == ({"D": (8,)}, True)
    assert list(folder.iterdir()) == []
    assert serve.state == before
    assert "the application one is deployed again as it was" in capsys.readouterr().err


def test_what_cannot_be_given_back_stays_in_the_journal_with_the_command_for_it(folder, capsys):
    serve = Cluster(app("one"))
    run = Run(serve, folder)
    run.does("1s: delete one")
    serve.refuses = True

    run.kept.give_back(serve, PATIENCE)

    assert len(list(folder.iterdir())) == 1
    said = capsys.readouterr().err
    assert "what events changed of one is not all given back" in said
    assert f"`scalelag doctor --dashboard {serve.url} --take-away`" in said


def test_the_application_of_the_run_itself_is_not_given_back(folder):
    serve = Cluster(app("one"), app("mine"))
    own = note(folder, serve.url, {"mine": "theirs:app"}, 1.0)
    run = Run(serve, folder, parent=own.pid)

    run.does("1s: scale mine/D to 4", "2s: delete mine")
    run.kept.give_back(serve, PATIENCE)

    assert list(serve.targets) == ["one"]


def test_a_journal_that_cannot_be_written_is_a_warning(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    serve = Cluster(app("one"))
    run = Run(serve, tmp_path / "file" / "deep")

    run.does("1s: scale one/D to 8")
    run.kept.give_back(serve, PATIENCE)

    assert "warning: no note of event 1" in capsys.readouterr().err
    assert serve.targets == {"one": 2}


def kill_what_ran(folder, **changed):
    """Have the entries of this process be those of one that was killed."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for path in folder.iterdir():
        entry = msgspec.json.decode(path.read_bytes(), type=JournalEntry)
        if entry.pid == os.getpid():
            path.write_bytes(
                msgspec.json.encode(
                    msgspec.structs.replace(entry, pid=process.pid, started_ticks=1, **changed)
                )
            )


def test_what_a_killed_run_changed_is_named_and_given_back(folder):
    serve = Cluster(app("one"), app("two"), **SETTINGS)
    before = serve.state
    Run(serve, folder).does("1s: delete one", "2s: scale two/D to 6")
    goes_on = kept_on(serve, folder)
    kill_what_ran(folder)

    found = left_on(serve, folder)
    said = how_to_undo(serve.url, found)
    lines = take_away(serve, found, PATIENCE)

    assert goes_on[0].startswith("one, two is of process ")
    assert f"left one, two at {serve.url} as its events had changed it" in said
    assert serve.state == before
    assert "the target of two/D is 2 replicas again" in lines
    assert list(folder.iterdir()) == []


def test_an_entry_of_what_is_as_before_is_forgotten(folder):
    serve = Cluster(app("one"))
    Run(serve, folder).does("1s: scale one/D to 6")
    kill_what_ran(folder)
    serve.targets["one"] = 2

    assert left_on(serve, folder) == []
    assert list(folder.iterdir()) == []


def test_of_two_killed_runs_the_newer_is_undone_first(folder):
    serve = Cluster(app("one"))
    for at_s, count in ((1.0, 6), (2.0, 9)):
        Run(serve, folder).does(f"1s: scale one/D to {count}")
        kill_what_ran(folder, at_s=at_s)

    take_away(serve, left_on(serve, folder), PATIENCE)

    assert serve.targets == {"one": 2}


def test_a_command_gives_back_what_its_killed_load_process_changed(folder, monkeypatch, capsys):
    serve = Cluster(app("one"), **SETTINGS)
    before = serve.state

    with target_of(serve, monkeypatch, apps=()):
        Run(serve, folder, parent=os.getpid()).does("1s: delete one")
        kill_what_ran(folder)

    assert serve.state == before
    assert "the application one is deployed again as it was" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_command_leaves_what_another_killed_one_changed_and_says_so(folder, monkeypatch, capsys):
    serve = Cluster(app("one"))
    Run(serve, folder, parent=1).does("1s: scale one/D to 6")
    kill_what_ran(folder)

    with target_of(serve, monkeypatch, apps=()):
        pass

    assert serve.targets == {"one": 6}
    assert "left one at" in capsys.readouterr().err
