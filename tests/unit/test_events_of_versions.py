"""Deploys that fail, that the autoscaler or a health check meets, and that come one after another.

Polls come at whole seconds and are answered 0.2 s later. Statuses are those that Serve gives
(`handle_transition` in `ray/serve/_private/common.py`).
"""

import msgspec
import pytest

from reports.analysis.analyse import analyse
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.rows import OF_APPLICATION, ConfigChange, StatusChange
from tests.unit.event_cases import FULL, bounds, event, only, recorded
from tests.unit.recorded_runs import KEY, ZERO_S, info

R, S = "RUNNING", "STARTING"
DEPLOY = event("deploy", apps=("app",))
STARTED = (21, "UPDATING", "CONFIG_UPDATE_STARTED")
LIMIT = "event.*.updated_s < 30"


def statuses(*rows):
    return tuple(
        StatusChange(KEY, ZERO_S + at_s + 0.2, status, ZERO_S + at_s - 1, trigger)
        for at_s, status, trigger in rows
    )


def report_on(run):
    return analyse(run).report


def updates(report):
    return [change.what for change in report.changes if change.kind == "update"]


# Replicas of the new version come beside the old ones, which go when they run (`max_surge_percent`).
FAILING = {
    22: FULL | {"x": S},
    26: FULL,
    28: FULL | {"y": S},
    32: FULL,
    34: FULL | {"z": S},
    38: FULL,
}


@pytest.mark.parametrize("status", ["DEPLOY_FAILED", "UNHEALTHY"])
def test_a_deploy_that_failed_is_never_updated(status):
    rows = statuses(STARTED, (38, status, "REPLICA_STARTUP_FAILED"))

    found, report = only(recorded(FAILING, DEPLOY, statuses=rows), LIMIT)

    assert bounds(found.updated_s) == (68.69, None)  # until the last poll
    assert found.censored
    assert found.reason == f"failed ({status}): 0 of 3 RUNNING are of the new version"
    assert [gate.verdict for gate in report.gates] == ["fail"]


IMPORTS = StatusChange(
    KEY,
    ZERO_S + 22.2,
    "DEPLOY_FAILED",
    ZERO_S + 21,
    OF_APPLICATION,
    "Deploying app 'app' failed:\nModuleNotFoundError: No module named 'nowhere'\n",
)


def hide(poll, from_s):
    """A poll as it is while Serve hides the deployment since a moment."""
    if poll.sent_s < from_s:
        return poll
    return msgspec.structs.replace(poll, deployments={}, hidden=(KEY,))


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_deploy_that_serve_cannot_build_failed_with_the_error(is_hidden):
    run = recorded({}, DEPLOY, statuses=(IMPORTS,))
    if is_hidden:
        run = msgspec.structs.replace(
            run, polls=tuple(hide(poll, ZERO_S + 21) for poll in run.polls)
        )

    found, report = only(run, LIMIT)

    assert bounds(found.updated_s) == (68.69, None)  # until the last poll
    assert found.reason == "failed (DEPLOY_FAILED): ModuleNotFoundError: No module named 'nowhere'"
    assert [gate.verdict for gate in report.gates] == ["fail"]
    assert any("DEPLOY_FAILED (ModuleNotFoundError" in text for text in report.warnings)


def test_a_deploy_that_serve_cannot_build_is_not_updated_by_the_next_one():
    mended = event("deploy", at_s=40, index=2, apps=("app",))
    config = ConfigChange(
        KEY, ZERO_S + 41, ZERO_S + 42.2, info("10rps:80s").target.deployments[KEY], ("user_config",)
    )

    run = recorded({}, DEPLOY, mended, statuses=(IMPORTS,), configs=(config,))
    first, second = report_on(run).events

    assert (first.updated_s.hi, first.censored) == (None, True)
    assert first.reason.startswith("failed (DEPLOY_FAILED)")
    assert bounds(second.updated_s) == (0.99, 2.2)


def test_a_failed_deploy_is_not_updated_by_what_is_deployed_in_its_place():
    states = FAILING | {40: FULL | {"p": S}, 45: {"p": R, "q": R, "r": R}}
    rows = statuses(
        STARTED,
        (38, "DEPLOY_FAILED", "REPLICA_STARTUP_FAILED"),
        (40, "UPDATING", "CONFIG_UPDATE_STARTED"),
        (46, "HEALTHY", "CONFIG_UPDATE_COMPLETED"),
    )

    by_hand, _ = only(recorded(states, DEPLOY, statuses=rows))

    assert by_hand.updated_s.hi is None
    assert by_hand.reason == "0 of 3 RUNNING when another new version came"


def test_old_replicas_that_take_the_new_version_are_updated_when_serve_says_so():
    """Also where a changed configuration is a row of its own: changed is not there yet."""
    changed = ConfigChange(
        KEY, ZERO_S + 20, ZERO_S + 21.2, info("10rps:80s").target.deployments[KEY], ("user_config",)
    )
    healthy = (33, "HEALTHY", "CONFIG_UPDATE_COMPLETED")
    failed = (33, "DEPLOY_FAILED", "HEALTH_CHECK_FAILED")

    done, told = only(recorded({}, DEPLOY, statuses=statuses(STARTED, healthy), configs=(changed,)))
    broken, _ = only(recorded({}, DEPLOY, statuses=statuses(STARTED, failed), configs=(changed,)))
    never, _ = only(recorded({}, DEPLOY, statuses=statuses(STARTED), configs=(changed,)))

    assert bounds(done.updated_s) == (11.49, 12.7)
    assert updates(told) == []  # the row of its configuration says it
    assert broken.updated_s.hi is None
    assert broken.reason == "failed (DEPLOY_FAILED): 3 of 3 RUNNING when watching ended"
    assert never.updated_s.hi is None


def test_a_new_version_in_place_that_the_autoscaler_meets_is_over_by_healthy_at_the_latest():
    rows = statuses(STARTED, (25, "UPSCALING", "AUTOSCALING"), (40, "HEALTHY", "UPSCALE_COMPLETED"))
    states = {26: FULL | {"u": S}, 39: FULL | {"u": R}}

    found, _ = only(
        recorded(states, DEPLOY, statuses=rows, target=lambda at_s: 3 if at_s < 25 else 4)
    )

    assert bounds(found.updated_s) == (3.49, 19.7)


UP = (25, "UPSCALING", "AUTOSCALING")
DOWN = (25, "DOWNSCALING", "AUTOSCALING")


@pytest.mark.parametrize(
    ("moved", "target", "states", "over_s"),
    [
        (
            UP,
            5,
            {
                22: FULL | {"x": S},
                25: FULL | {"x": S, "u": S, "v": S},
                30: {"a": R, "b": R, "x": R, "u": R, "v": R},
                35: {"x": R, "u": R, "v": R, "y": S, "z": S},
                42: {"x": R, "u": R, "v": R, "y": R, "z": R},
            },
            42,
        ),
        (DOWN, 1, {22: FULL | {"x": S}, 26: {"a": R, "b": R, "x": R}, 30: {"x": R}}, 30),
        # The old ones go first, and none has come yet when the target moves.
        (
            UP,
            4,
            {
                24: {"a": "STOPPING", "b": R, "c": R},
                27: {"b": R, "c": R, "x": S, "y": S},
                35: {"x": R, "y": R, "z": S, "w": S},
                42: {"x": R, "y": R, "z": R, "w": R},
            },
            42,
        ),
    ],
)
def test_an_update_goes_on_when_the_autoscaler_moves_before_a_new_replica_runs(
    moved, target, states, over_s
):
    healthy = (over_s + 1, "HEALTHY", "UPSCALE_COMPLETED")
    rows = statuses(STARTED, moved, healthy)

    found, report = only(
        recorded(states, DEPLOY, statuses=rows, target=lambda at_s: 3 if at_s < 25 else target)
    )

    # Between the poll before and the one that shows it, from the event at 20.5 s on.
    assert bounds(found.updated_s) == pytest.approx((over_s - 1 - 20.51, over_s + 0.2 - 20.5))
    assert updates(report)[0].endswith(f"over after {over_s + 1 - 21:.1f} s")


@pytest.mark.parametrize("failed_s", [25, 32])
def test_an_update_goes_on_after_a_failed_health_check(failed_s):
    states = {
        22: FULL | {"x": S},
        30: {"a": R, "b": R, "x": R, "y": S},
        37: {"a": R, "x": R, "y": R, "z": S},
        44: {"x": R, "y": R, "z": R},
    }
    rows = statuses(
        STARTED,
        (failed_s, "DEPLOY_FAILED", "HEALTH_CHECK_FAILED"),
        (45, "HEALTHY", "UNSPECIFIED"),
    )

    found, report = only(recorded(states, DEPLOY, statuses=rows))

    assert bounds(found.updated_s) == (22.49, 23.7)
    assert updates(report) == ["a new version came, 3 replicas were replaced, over after 24.0 s"]


# The second version comes while x and y are of the first: they are replaced as well.
TWICE = {
    22: FULL | {"x": S},
    26: {"a": R, "b": R, "x": R, "y": S},
    30: {"a": R, "b": R, "x": R, "p": S},
    35: {"x": R, "p": R, "q": S},
    40: {"p": R, "q": R, "r": S},
    45: {"p": R, "q": R, "r": R},
}
ONE_STATUS = statuses(STARTED, (46, "HEALTHY", "CONFIG_UPDATE_COMPLETED"))


def line(at_s):
    return LogEvent("version_deployed", ZERO_S + at_s, 0.001, "n", "Deploying new version", KEY)


@pytest.mark.parametrize(
    ("log", "seen"), [((), (0.0, 0.7)), ((line(20.8), line(29.9)), (0.389, 0.401))]
)
def test_two_versions_under_one_status_are_those_of_their_events(log, seen):
    second = event("deploy", 29.5, 2, apps=("app",))

    report = report_on(recorded(TWICE, DEPLOY, second, statuses=ONE_STATUS, events=log))
    first, last = report.events

    assert first.updated_s.hi is None
    assert first.reason == "1 of 3 RUNNING when event 2 (deploy it) took over"
    assert bounds(last.updated_s) == (14.49, 15.7)
    assert bounds(last.detect_s) == pytest.approx(seen, abs=0.002)
    assert "not over when another new version came" in updates(report)[0]


def test_a_version_that_ran_alone_before_the_next_one_came_is_over():
    second = event("deploy", 29.5, 2, apps=("app",))
    new = {"x": R, "y": R, "z": R}
    states = {22: FULL | {"x": S}, 26: new, 30: new | {"p": S}, 40: {"p": R, "q": R, "r": R}}
    logs = (line(20.8), line(29.9))

    report = report_on(recorded(states, DEPLOY, second, statuses=ONE_STATUS, events=logs))

    assert bounds(report.events[0].updated_s) == (4.49, 5.7)
    assert "3 replicas were replaced, over after" in updates(report)[0]


def test_a_deploy_that_changes_nothing_does_not_take_over():
    second = event("deploy", 29.5, 2, apps=("app",))
    rolled = {at_s: states for at_s, states in TWICE.items() if at_s < 30}
    rolled |= {33: {"a": R, "x": R, "y": R, "z": S}, 38: {"x": R, "y": R, "z": R}}
    rows = statuses(STARTED, (39, "HEALTHY", "CONFIG_UPDATE_COMPLETED"))

    first, last = report_on(recorded(rolled, DEPLOY, second, statuses=rows)).events

    assert bounds(first.updated_s) == (16.49, 17.7)
    assert (last.updated_s, last.reason) == (None, "nothing of it changed")
