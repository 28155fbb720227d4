"""The graph of an application: boxes in rows by calls from the ingress, arrows downwards."""

from reports.model.application import ApplicationNode, ApplicationReport
from reports.render.html.application_graph import graph_of

FRONT, FAST, SLOW, LONE = "shop/Front", "shop/Fast", "shop/Slow", "shop/Lone"


def test_boxes_stand_below_what_calls_them():
    nodes = (
        ApplicationNode(FAST, (SLOW,)),
        ApplicationNode(FRONT, (FAST, SLOW), fixed_replicas=1, slots_used=0.994, is_limit=True),
        ApplicationNode(SLOW),
        ApplicationNode(LONE),
    )

    graph = graph_of(1, "shop", ApplicationReport(nodes, "/", FRONT))

    rows = {box.name: box.y for box in graph.boxes}
    assert rows["Front"] < rows["Fast"] == rows["Slow"] < rows["Lone"]
    # Of calls within a row there is no arrow: the text has them.
    assert len(graph.arrows) == 2
    assert all(arrow.y1 < arrow.y2 for arrow in graph.arrows)
    assert [box.name for box in graph.boxes if box.is_limit] == ["Front"]
    assert all(box.x >= 0 and box.x + graph.box_width <= graph.width for box in graph.boxes)
    assert all(box.y >= 0 and box.y + graph.box_height <= graph.height for box in graph.boxes)


def test_without_calls_all_stand_in_one_row():
    nodes = tuple(ApplicationNode(key) for key in (FRONT, FAST, SLOW))

    graph = graph_of(1, "shop", ApplicationReport(nodes, "/", None, "not told"))

    assert len({box.y for box in graph.boxes}) == 1
    assert len({box.x for box in graph.boxes}) == 3


def test_a_circle_without_an_ingress_is_drawn_all_the_same():
    nodes = (ApplicationNode(FRONT, (FAST,)), ApplicationNode(FAST, (FRONT,)))

    assert len(graph_of(1, "shop", ApplicationReport(nodes, "/", None)).boxes) == 2


def test_of_very_many_only_the_text_is_left():
    nodes = tuple(ApplicationNode(f"shop/D{number}") for number in range(41))

    graph = graph_of(1, "shop", ApplicationReport(nodes, "/", None))

    assert (graph.boxes, graph.width) == ((), 0)
    assert graph.text[0].startswith("shop, /: D0, D1")


def test_a_long_name_is_cut_and_whole_in_the_title():
    name = "A" * 60
    nodes = (ApplicationNode(f"shop/{name}"), ApplicationNode(FAST))

    (box, _) = graph_of(1, "shop", ApplicationReport(nodes, "/", None)).boxes

    assert len(box.name) <= 24
    assert box.title == name
