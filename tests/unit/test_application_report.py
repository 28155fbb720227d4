"""An application as a whole: what calls what, and the limit, in figures, words and a graph."""

import msgspec
import pytest

from reports.analysis.seen.application import behind
from reports.model.application import ApplicationNode, ApplicationReport
from reports.render.tables.applications import application_lines
from scalelag.record.application_info import ApplicationInfo

FRONT, FAST, SLOW = "shop/Front", "shop/Fast", "shop/Slow"
KNOWN = ApplicationInfo(
    deployments=(FRONT, FAST, SLOW),
    route_prefix="/shop",
    ingress=FRONT,
    calls={FRONT: (FAST, SLOW), FAST: (SLOW,)},
)
BOXES = (
    ApplicationNode(FRONT, (FAST, SLOW), fixed_replicas=1, slots=100, is_limit=True),
    ApplicationNode(FAST, min_replicas=1, max_replicas=2),
    ApplicationNode(SLOW, min_replicas=1, max_replicas=4),
)
REPORT = ApplicationReport(BOXES, "/shop", FRONT)


def test_all_that_a_deployment_reaches_lies_behind_it():
    assert set(behind(KNOWN, FRONT)) == {FAST, SLOW}
    assert set(behind(KNOWN, FAST)) == {SLOW}
    assert set(behind(KNOWN, SLOW)) == set()


def test_a_circle_of_calls_ends():
    circle = msgspec.structs.replace(KNOWN, calls={FAST: (SLOW,), SLOW: (FAST,)})

    assert set(behind(circle, FAST)) == {SLOW}


def test_calls_that_are_told_later_are_added():
    later = ApplicationInfo((FRONT, FAST, "shop/Late"), "/shop", FRONT, {FRONT: ("shop/Late",)})

    found = KNOWN.with_calls_of(later)

    assert found.calls[FRONT] == (FAST, SLOW, "shop/Late")
    assert found.deployments == (FRONT, FAST, SLOW, "shop/Late")
    assert found.callers(SLOW) == (FRONT, FAST)


def test_an_application_is_a_line_with_its_limit_marked():
    assert list(application_lines("shop", REPORT)) == [
        "shop, /shop: Front (1 fixed, 100 slots, the limit) -> Fast (1-2), Slow (1-4)"
    ]


def test_a_chain_is_told_through_to_its_end():
    chain = (
        ApplicationNode(FRONT, (FAST,), fixed_replicas=2),
        ApplicationNode(FAST, (SLOW,), min_replicas=0, max_replicas=3),
        ApplicationNode(SLOW),
    )

    lines = list(application_lines("shop", ApplicationReport(chain, "/", FRONT)))

    assert lines == ["shop, /: Front (2 fixed) -> Fast (0-3) -> Slow"]


def test_a_circle_is_told_once():
    circle = (ApplicationNode(FRONT, (FAST,)), ApplicationNode(FAST, (FRONT,)))

    lines = list(application_lines("shop", ApplicationReport(circle, None, FRONT)))

    assert lines == ["shop: Front -> Fast -> Front"]


def test_where_the_calls_are_not_known_it_says_so():
    boxes = (ApplicationNode(FRONT, fixed_replicas=1), ApplicationNode(FAST))
    app = ApplicationReport(boxes, "/", None, reason="Ray tells since 2.53")

    assert list(application_lines("shop", app)) == [
        "shop, /: Front (1 fixed), Fast",
        "shop: who calls whom is not known: Ray tells since 2.53",
    ]


@pytest.mark.parametrize("key", ["shop/\x1b[31mred", "shop/<script>"])
def test_names_from_a_cluster_are_shown_without_control_characters(key: str):
    app = ApplicationReport((ApplicationNode(key), ApplicationNode(FAST)), "/\x1b", None)

    assert "\x1b" not in "".join(application_lines("shop\x1b", app))
