"""The grammar of `--event`, and the checks before the load."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalelag.errors import UsageError
from scalelag.options.run_options import run_options
from scalelag.plan.events import (
    KnownNames,
    PlannedEvent,
    below,
    check_allowed,
    parse_event,
    resolved,
)

KNOWN = KnownNames(
    {"default/Sleeper", "shop/Cart", "mail/Cart", "a/b/My app: v1.2"}, {"default", "shop", "mail"}
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60s: kill 2 replicas of app/D", (60, "kill_replicas", "app/D", 2)),
        ("1m:kill replica of D", (60, "kill_replicas", "D", 1)),
        ("500ms: kill a replica of D", (0.5, "kill_replicas", "D", 1)),
        ("60: kill node of app/D", (60, "kill_node", "app/D", None)),
        ("60s: kill controller", (60, "kill_controller", None, None)),
        ("1.5s: kill the proxy", (1.5, "kill_proxy", None, None)),
        ("90s: deploy new one.yaml", (90, "deploy", "new one.yaml", None)),
        ("30s: scale app/D to 8", (30, "scale", "app/D", 8)),
        ("30s: scale app/D to 0", (30, "scale", "app/D", 0)),
        ('30s: scale "app/D to 3" to 8', (30, "scale", "app/D to 3", 8)),
        ("30s: scale to to 2", (30, "scale", "to", 2)),
        ("0h: delete app: v1.2", (0, "delete", "app: v1.2", None)),
        (r'5s: delete "a \"b\""', (5, "delete", 'a "b"', None)),
    ],
)
def test_an_event_has_a_time_an_action_and_a_name(text, expected):
    event = parse_event(text)

    assert (event.at_s, event.kind, event.name, event.count) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "reads TIME: ACTION"),
        ("kill controller", "reads TIME: ACTION"),
        ("-3s: kill controller", "reads TIME: ACTION"),
        ("3d: kill controller", 'unknown unit of time "d"'),
        ("99999h: kill controller", "no run lasts that long"),
        ('5s: delete "a b', "is not closed at its end"),
        ('5s: kill 1 replicas of "a"/D', "is not closed at its end"),
        ('5s: deploy "new.yaml', "is not closed at its end"),
        ("3s: burn controller", '"burn controller" is no action; write "kill 2 replicas'),
        ("3s: kill", "is no action"),
        ("3s: kill 0 replicas of D", "0 replicas are none"),
        ("3s: kill 999999999 replicas of D", "more than 100,000"),
        ("3s: scale D to -1", "is no action"),
        ("3s: scale D to many", "is no action"),
        ('3s: delete ""', "the name in it is empty"),
        (f"3s: delete {'x' * 600}", "500 characters at most"),
    ],
)
def test_what_is_no_event_is_refused_with_the_part_and_the_reason(text, reason):
    with pytest.raises(UsageError) as refused:
        parse_event(text)

    assert reason in str(refused.value)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_name_can_be_written_in_quotes(name):
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')

    event = parse_event(f'7s: scale "{escaped}" to 3')

    assert (event.name, event.count) == (name, 3)


def test_names_are_completed_by_what_is_there():
    asked = [
        parse_event(f"1s: kill node of {name}") for name in ("Sleeper", "shop/Cart", "My app: v1.2")
    ]

    assert [event.name for event in (resolved(one, KNOWN) for one in asked)] == [
        *("default/Sleeper", "shop/Cart", "a/b/My app: v1.2")
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1s: scale Cart to 2", "name one of mail/Cart, shop/Cart"),
        ("1s: scale shop/Chart to 2", "did you mean shop/Cart"),
        ("1s: kill 1 replica of zzz", "name one of those watched: a/b/My app"),
        ("1s: delete shopp", 'no watched application "shopp"; did you mean shop?'),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(text, reason):
    with pytest.raises(UsageError) as refused:
        resolved(parse_event(text), KNOWN)

    assert reason in str(refused.value)


def test_a_file_to_deploy_counts_from_the_folder_of_the_options(tmp_path):
    assert below("9s: deploy new.yaml", tmp_path) == f"9s: deploy {tmp_path}/new.yaml"
    assert below("9s: deploy /new.yaml", tmp_path) == "9s: deploy /new.yaml"
    assert below("9s: delete deploy x", tmp_path) == "9s: delete deploy x"


def test_events_come_in_order_and_within_the_plan():
    given_ = {"steps": "10rps:20s", "event": ["15s: kill proxy", "3s: kill controller"]}

    assert [event.at_s for event in run_options(given_).events] == [3, 15]
    with pytest.raises(UsageError, match="the load plan is over after 15 s"):
        run_options(given_ | {"steps": "10rps:15s"})


def test_a_cluster_that_is_not_ours_is_harmed_only_if_that_is_allowed():
    events = [PlannedEvent("scale D to 3", 4.0, "scale", "D", 3)]

    check_allowed(events, ours=True, allowed=False)
    check_allowed(events, ours=False, allowed=True)
    check_allowed([], ours=False, allowed=False)
    with pytest.raises(
        UsageError, match=r"at 4 s it sets the target of D to 3 replicas.*--allow-f"
    ):
        check_allowed(events, ours=False, allowed=False)


def test_the_record_keeps_the_words_of_each_event():
    event = parse_event("1s: kill 3 replicas of D")

    assert event.text == "kill 3 replicas of D"
    assert event.what == "kills 3 replicas of D"
