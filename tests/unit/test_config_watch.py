"""Changes of the deployed configuration between two answers: a row for each, and nothing else."""

from collections.abc import Mapping

import msgspec
import pytest

from probes.serve_state import ServePayload, parse_payload
from probes.tracker import ReplicaTracker
from scalelag.record.rows import CapacityChange, ConfigChange, NeighbourChange, Poll, Row

KEY = "app/Model"
CONFIG: dict[str, object] = {
    "name": "Model",
    "user_config": {"password": "secret-1"},
    "max_ongoing_requests": 5,
    "autoscaling_config": {"min_replicas": 1, "max_replicas": 2, "upscale_delay_s": 1.0},
}


class Watcher:
    """A tracker that is fed one poll a second, each of them 0.25 s long, beginning at 1 s."""

    def __init__(self, watched: frozenset[str] | None = None) -> None:
        self.tracker = ReplicaTracker(watched)
        self.sent_s = 0.0
        self.status = "DELETING"

    def see(self, *, capacity: float | None = None, **configs: Mapping[str, object]) -> list[Row]:
        """Rows that the next poll adds; it shows these deployments of "app"."""
        self.sent_s += 1.0
        payload = self.payload(capacity, configs)
        rows = self.tracker.rows(payload, self.sent_s, self.sent_s + 0.25)
        kinds = (ConfigChange, NeighbourChange, CapacityChange)
        return [row for row in rows if isinstance(row, kinds)]

    def begin(self, *, capacity: float | None = None, **configs: Mapping[str, object]) -> None:
        """Describe these deployments to the run, a second before the first poll."""
        self.tracker.begin(self.payload(capacity, configs), self.sent_s)

    def payload(
        self, capacity: float | None, configs: Mapping[str, Mapping[str, object]]
    ) -> ServePayload:
        deployments = {name: {"deployment_config": config} for name, config in configs.items()}
        status = "RUNNING" if configs else self.status
        body: dict[str, object] = {
            "applications": {"app": {"status": status, "deployments": deployments}}
        }
        body["target_capacity"] = capacity
        return parse_payload(msgspec.json.encode(body))


def scaling(**settings: object) -> dict[str, object]:
    return CONFIG | {"autoscaling_config": {"min_replicas": 1, "max_replicas": 2, **settings}}


@pytest.fixture
def watcher() -> Watcher:
    return Watcher(frozenset([KEY]))


def test_a_configuration_that_stays_is_no_row(watcher: Watcher):
    assert [watcher.see(Model=CONFIG) for _ in range(3)] == [[], [], []]


def test_a_changed_configuration_is_a_row_between_the_two_polls(watcher: Watcher):
    watcher.see(Model=CONFIG)
    after = scaling(upscale_delay_s=8.0, max_replicas=5)

    (row,) = watcher.see(Model=after)

    assert isinstance(row, ConfigChange)
    assert (row.deployment, row.lo_s, row.hi_s) == (KEY, 1.0, 2.25)
    assert row.info.autoscaling == after["autoscaling_config"]
    assert row.changed == ("autoscaling_config",)
    assert watcher.see(Model=after) == []


def test_what_changed_between_the_description_and_the_first_poll_is_a_row(watcher: Watcher):
    watcher.begin(Model=CONFIG, Front=CONFIG)

    rows = watcher.see(Model=scaling(max_replicas=5), New=CONFIG, capacity=50.0)

    assert [(row.lo_s, row.hi_s) for row in rows] == [(0.0, 1.25)] * 4
    (config,) = [row for row in rows if isinstance(row, ConfigChange)]
    assert config.changed == ("autoscaling_config", "target_capacity")
    assert rows[1:] == [
        NeighbourChange("app/Front", 0.0, 1.25, present=False),
        NeighbourChange("app/New", 0.0, 1.25, present=True),
        CapacityChange(0.0, 1.25, None, 50.0),
    ]


def test_what_was_described_as_the_first_poll_shows_it_is_no_change(watcher: Watcher):
    watcher.begin(Model=CONFIG, capacity=50.0)

    assert watcher.see(Model=CONFIG, capacity=50.0) == []


def test_a_described_deployment_that_serve_hides_at_the_first_poll_goes_on(watcher: Watcher):
    watcher.begin(Model=CONFIG)
    watcher.status = "DEPLOYING"
    payload = watcher.payload(None, {})

    poll = watcher.tracker.rows(payload, 1.0, 1.25)[0]

    assert isinstance(poll, Poll)
    assert poll.hidden == (KEY,)


def test_a_setting_whose_value_is_not_kept_is_named_without_it(watcher: Watcher):
    watcher.see(Model=CONFIG)

    (row,) = watcher.see(Model=CONFIG | {"user_config": {"password": "secret-2"}})

    assert isinstance(row, ConfigChange)
    assert row.changed == ("user_config",)
    assert b"secret" not in msgspec.json.encode(row)


def test_the_same_settings_in_another_order_are_no_change(watcher: Watcher):
    watcher.see(Model=CONFIG)

    assert watcher.see(Model=dict(reversed(CONFIG.items()))) == []


def test_the_autoscalers_target_in_the_configuration_is_no_change(watcher: Watcher):
    watcher.see(Model=CONFIG | {"num_replicas": 1})

    assert watcher.see(Model=CONFIG | {"num_replicas": 4}) == []


def test_a_configuration_that_makes_no_sense_is_passed_over(watcher: Watcher):
    watcher.see(Model=CONFIG)

    assert watcher.see(Model=[1]) == []  # type: ignore[arg-type]
    assert watcher.see(Model=CONFIG) == []


def test_a_deployment_that_comes_back_changed_is_a_row(watcher: Watcher):
    watcher.see(Model=CONFIG)
    watcher.see()

    (row,) = watcher.see(Model=scaling(max_replicas=5))

    assert isinstance(row, ConfigChange)
    assert (row.lo_s, row.hi_s) == (2.0, 3.25)


def test_deployments_of_a_watched_application_that_are_not_watched_come_and_go(watcher: Watcher):
    watcher.see(Model=CONFIG, Front=CONFIG)

    assert watcher.see(Model=CONFIG, New=CONFIG) == [
        NeighbourChange("app/Front", 1.0, 2.25, present=False),
        NeighbourChange("app/New", 1.0, 2.25, present=True),
    ]
    assert watcher.see(Model=CONFIG, New=scaling(max_replicas=9)) == []


def test_neighbours_that_serve_hides_during_a_build_go_on(watcher: Watcher):
    watcher.see(Model=CONFIG, Front=CONFIG)
    watcher.status = "DEPLOYING"

    assert watcher.see() == []
    assert watcher.see(Model=CONFIG, Front=CONFIG) == []


def test_other_applications_are_nobodys_neighbours():
    watcher = Watcher(frozenset(["other/Model"]))
    watcher.see(Model=CONFIG)

    assert watcher.see(Model=CONFIG, New=CONFIG) == []


def test_a_changed_target_capacity_is_a_row_and_changes_the_settings_in_effect(watcher: Watcher):
    watcher.see(Model=CONFIG)

    of_config, of_capacity = watcher.see(Model=CONFIG, capacity=50.0)

    assert of_capacity == CapacityChange(1.0, 2.25, None, 50.0)
    assert isinstance(of_config, ConfigChange)
    assert (of_config.changed, of_config.info.target_capacity) == (("target_capacity",), 50.0)
    assert watcher.see(Model=CONFIG, capacity=50.0) == []
    assert CapacityChange(3.0, 4.25, 50.0, None) in watcher.see(Model=CONFIG)


def test_a_changed_capacity_says_which_way_serve_goes(watcher: Watcher):
    watcher.see(Model=CONFIG)
    rows = [watcher.see(Model=CONFIG, capacity=at)[0] for at in (50.0, 100.0, None)]

    assert [row.info.capacity_direction for row in rows if isinstance(row, ConfigChange)] == [
        "down",
        "up",
        None,
    ]


def test_the_settings_of_the_last_answer_are_kept(watcher: Watcher):
    watcher.see(Model=CONFIG)
    watcher.see(Model=scaling(max_replicas=5), capacity=50.0)

    found = watcher.tracker.deployed[KEY]
    assert found.autoscaling is not None
    assert (found.autoscaling["max_replicas"], found.target_capacity) == (5, 50.0)
