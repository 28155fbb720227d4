"""Which tests `make test` runs in which lane."""

import pytest

from tests.support.lanes import COMPUTING, LANES, NODES, OWN, SHARED, WAITING

ALL = ["tests/unit", "tests/golden", "tests/sim", "tests/browser", "tests/live"]


def chosen(part, tiers):
    return [one for one in part.command(tiers, [], again=False) if one.startswith("tests/")]


def test_every_tier_is_run_with_and_without_clusters():
    marks = {tier: set() for tier in ALL}
    for part in (part for lane in LANES for part in lane):
        for tier in chosen(part, ALL):
            marks[tier].add(part.marks)

    shared, own = "live and not own_cluster", "live and own_cluster and not several_nodes"
    assert marks == {
        "tests/unit": {"not live"},
        "tests/golden": {"not live"},
        "tests/sim": {"not live"},
        "tests/browser": {"not live", shared, own},
        "tests/live": {shared, own, "live and several_nodes"},
    }


def test_a_part_of_a_tier_belongs_to_its_lane_only():
    one = ["tests/sim/test_load.py"]

    assert [part for lane in LANES for part in lane if chosen(part, one)] == [WAITING]
    assert COMPUTING.command(one, [], again=False) == []


@pytest.mark.parametrize(
    "part", [SHARED, NODES, OWN, WAITING, COMPUTING], ids=lambda part: part.name
)
def test_options_reach_pytest_and_what_failed_is_run_alone(part):
    once = part.command(ALL, ["-k", "a or b"], again=False)
    again = part.command(ALL, ["-k", "a or b"], again=True)

    assert once[-2:] == again[-2:] == ["-k", "a or b"]
    assert ("-n" in once) == (part.at_once > 1)
    assert "--last-failed" in again
    assert "-n" not in again
