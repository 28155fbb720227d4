"""Ray's autoscaler on virtual time: delays, settings that Ray refuses, and policies of one's own."""

import time
from typing import Any

import pytest

from reports.whatif.autoscaler import HandleReport, Series
from scalelag.autoscaler import ray_names as names
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler
from scalelag.autoscaler.user_policy import load_policy
from scalelag.errors import UsageError
from tests.unit.autoscaler_cases import KEY, START_S, info_of


def test_a_delay_counts_from_the_first_moment_that_wants_more():
    ours = RayAutoscaler({KEY: info_of(upscale_delay_s=2.0, target_ongoing_requests=2)})
    ours.set_running(KEY, ["r0"])
    ours.report(HandleReport(KEY, "h", START_S, Series([START_S], [8.0]), {}))

    decided = [ours.decide(START_S + 0.1 * turn, {KEY: 1})[KEY] for turn in range(25)]

    assert decided.index(4) == 20


@pytest.mark.parametrize(
    ("recorded", "wanted"),
    [
        ({"target_num_ongoing_requests_per_replica": 4.0, "target_ongoing_requests": None}, 2),
        ({"target_num_ongoing_requests_per_replica": 4.0, "target_ongoing_requests": 1.0}, 8),
    ],
)
def test_a_target_by_its_old_name_counts_where_the_new_one_is_unset(
    recorded: dict[str, Any], wanted: int
):
    ours = RayAutoscaler({KEY: info_of(upscale_delay_s=0.0, **recorded)})
    ours.set_running(KEY, ["r0"])
    ours.report(HandleReport(KEY, "h", START_S, Series([START_S], [8.0]), {}))

    assert ours.decide(START_S, {KEY: 1})[KEY] == wanted


def test_settings_that_ray_refuses_say_so_in_its_words():
    with pytest.raises(UsageError, match=r"app/D.*max_replicas \(1\).*min_replicas \(3\)"):
        RayAutoscaler({KEY: info_of(min_replicas=3, max_replicas=1)})


def test_a_policy_of_ones_own_is_asked_and_sees_the_virtual_time(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "policies_one.py").write_text(
        "import time\n"
        "from time import monotonic\n"
        "def by_the_clock(ctx):\n"
        "    state = dict(ctx.policy_state, seen=time.time(), also=monotonic())\n"
        "    return (5 if time.time() > 1_800_000_003 else 2), state\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = info_of(upscale_delay_s=0.0)
    ours = RayAutoscaler({KEY: settings}, load_policy("policies_one:by_the_clock"))
    ours.set_running(KEY, ["r0"])

    early = ours.decide(START_S, {KEY: 2})
    late = ours.decide(START_S + 4, {KEY: 2})

    assert (early[KEY], late[KEY]) == (2, 5)
    assert ours.policy_state[KEY]["seen"] == ours.policy_state[KEY]["also"] == START_S + 4
    assert abs(time.time() - START_S) > 4  # ours alone is virtual


@pytest.mark.parametrize(
    ("key", "application", "told"),
    [("team/chat/LLM/v1", "team/chat", "team/chat|LLM/v1"), ("app/LLM/v1", None, "app|LLM/v1")],
)
def test_a_policy_is_told_the_names_that_serve_would_tell_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, key: str, application: str | None, told: str
):
    (tmp_path / "policies_named.py").write_text(
        "def named(ctx):\n"
        "    name = ctx.deployment_id\n"
        "    return 1, {'told': f'{name.app_name}|{name.name}'}\n"
    )
    monkeypatch.chdir(tmp_path)
    ours = RayAutoscaler({key: info_of()}, load_policy("policies_named:named"), application)
    ours.set_running(key, ["r0"])

    ours.decide(START_S, {key: 1})

    assert ours.policy_state[key]["told"] == told


def test_a_policy_of_an_application_decides_for_all_its_deployments(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "policies_two.py").write_text(
        "def half_of_the_other(contexts):\n"
        "    by_name = {one.name: one for one in contexts}\n"
        "    return {by_name['D']: 6, by_name['E']: 3}, {}\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = info_of(upscale_delay_s=0.0)
    policy = load_policy("policies_two:half_of_the_other", of_application=True)
    ours = RayAutoscaler({"app/D": settings, "app/E": settings}, policy)
    ours.set_running("app/D", ["r0"])
    ours.set_running("app/E", ["r0"])

    assert ours.decide(START_S, {"app/D": 1, "app/E": 1}) == {"app/D": 6, "app/E": 3}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(ctx):\n    raise KeyError('no such metric')\n", r"KeyError.*policies_bad.*:2"),
        ("def f(ctx):\n    return 'many', {}\n", "TypeError"),
        ("def f(ctx):\n    raise SystemExit(0)\n", r"SystemExit: 0 .*policies_bad.*:2"),
        ("def f(ctx):\n    return 3\n", r"TypeError.*refused by Ray"),
    ],
)
def test_a_policy_that_fails_is_named_with_its_place(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, source: str, said: str, request: Any
):
    module = f"policies_bad_{abs(hash(source))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    ours = RayAutoscaler({KEY: info_of()}, load_policy(f"{module}:f"))
    ours.set_running(KEY, ["r0"])

    with pytest.raises(UsageError, match=said):
        ours.decide(START_S, {KEY: 1})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_colon", "module:function"),
        ("no_such_module_here:f", "ModuleNotFoundError"),
        ("json:no_such_function", "no function of that name; it has .*dumps"),
    ],
)
def test_a_policy_that_cannot_be_imported_says_why(path: str, said: str):
    with pytest.raises(UsageError, match=said):
        load_policy(path)


@pytest.mark.parametrize("code", ["0", "3", "'bye'"])
def test_a_policy_that_ends_the_process_when_it_is_imported_is_refused(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, code: str
):
    module = f"policies_end_{abs(hash(code))}"
    (tmp_path / f"{module}.py").write_text(f"raise SystemExit({code})\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=f"SystemExit: {eval(code)}"):
        load_policy(f"{module}:f")


def test_a_version_of_ray_whose_private_names_moved_is_named(monkeypatch: pytest.MonkeyPatch):
    needed = {**names._NEEDED, "ray.serve._private.common": ("DeploymentID", "NoSuchName")}
    monkeypatch.setattr(names, "_NEEDED", needed)

    with pytest.raises(UsageError, match=r"Ray 2\.\d+.*no ray.serve._private.common.NoSuchName"):
        names.ray_names()
