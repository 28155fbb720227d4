"""Which tests `make test` runs in which lane."""

import pytest

from tests.support.lanes import COMPUTING, LANES, LONG_LANES, WAITING, Part

ALL = ["tests/unit", "tests/golden", "tests/sim", "tests/browser", "tests/live"]
PARTS = [part for lane in (*LANES, *LONG_LANES) for part in lane]


def chosen(part: Part, tiers: list[str]) -> list[str]:
    return [one for one in part.command(tiers, [], again=False) if one.startswith("tests/")]


def meant(part: Part, marks: set[str]) -> bool:
    """Return True if pytest would choose a test with these marks for `part`."""
    known = ("live", "own_cluster", "several_nodes", "long")
    return bool(eval(part.marks, {}, {mark: mark in marks for mark in known}))


@pytest.mark.parametrize(
    ("tier", "marks"),
    [
        *((tier, set()) for tier in ALL[:4]),
        *((tier, {"long"}) for tier in ALL[:4]),
        *((tier, {"live"}) for tier in ALL[3:]),
        *((tier, {"live", "own_cluster"}) for tier in ALL[3:]),
        ("tests/live", {"live", "long"}),
        ("tests/live", {"live", "long", "own_cluster"}),
        ("tests/browser", {"live", "long", "own_cluster"}),
        ("tests/live", {"live", "long", "own_cluster", "several_nodes"}),
    ],
)
def test_every_kind_of_test_is_in_one_part_and_the_long_ones_in_a_long_lane(tier, marks):
    parts = [part for part in PARTS if chosen(part, [tier]) and meant(part, marks)]

    assert len(parts) == 1
    assert any(parts[0] in lane for lane in LONG_LANES) == ("long" in marks)


def test_a_part_of_a_tier_belongs_to_its_lane_only():
    one = ["tests/sim/test_load.py"]

    assert [part for lane in LANES for part in lane if chosen(part, one)] == [WAITING]
    assert COMPUTING.command(one, [], again=False) == []


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_options_reach_pytest_and_what_failed_is_run_alone(part):
    once = part.command(ALL, ["-k", "a or b"], again=False)
    again = part.command(ALL, ["-k", "a or b"], again=True)

    assert once[-2:] == again[-2:] == ["-k", "a or b"]
    assert ("-n" in once) == (part.at_once > 1)
    assert "--last-failed" in again
    assert "-n" not in again
