"""The applications with a fault, and the truth file, without a cluster."""

import asyncio
import inspect
import json
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from ray import serve

from serve_apps import sick_health, sick_start, starved
from serve_apps.sick_health import SickHealth, SickHealthArgs
from serve_apps.sick_start import SickStart, SickStartArgs
from serve_apps.slow_start import SlowStart
from serve_apps.starved import Starved, StarvedArgs
from serve_apps.truth import TruthFile

pytestmark = pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")


def bound(app: serve.Application) -> dict[str, Any]:
    """Arguments of the replicas' constructor, by name."""
    return app._bound_deployment.init_kwargs


@pytest.fixture
def replica(monkeypatch):
    """Makes this process the replica `abc123` of Sleeper in the application `shop`."""
    context = SimpleNamespace(
        replica_id=SimpleNamespace(unique_id="abc123"), deployment="Sleeper", app_name="shop"
    )
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_says_whose_it_is_and_when(tmp_path: Path, replica):
    path = tmp_path / "truth.jsonl"
    before_s = time.time()
    TruthFile(str(path)).note("constructor_entered")

    [row] = rows(path)
    assert before_s <= row.pop("at_s") <= time.time()
    assert row == {
        "replica": "abc123",
        "deployment": "Sleeper",
        "app": "shop",
        "event": "constructor_entered",
    }


def test_only_the_first_request_is_written_down(tmp_path: Path, replica):
    truth = TruthFile(str(tmp_path / "truth.jsonl"))
    truth.note("constructor_left")
    for _ in range(3):
        truth.note_request()

    events = [row["event"] for row in rows(tmp_path / "truth.jsonl")]
    assert events == ["constructor_left", "request"]


def test_without_a_path_nothing_is_asked_and_nothing_written(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = TruthFile(None)
    truth.note("constructor_entered")  # outside a replica, Serve would refuse to say whose it is
    truth.note_request()

    assert list(tmp_path.iterdir()) == []


def test_lines_of_replicas_that_write_at_once_do_not_mix(tmp_path: Path, replica):
    path = tmp_path / "truth.jsonl"
    truth = TruthFile(str(path))
    writers = [
        threading.Thread(target=lambda: [truth.note("request") for _ in range(200)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [row["replica"] for row in rows(path)] == ["abc123"] * 800


def test_a_slow_start_takes_its_time_in_the_constructor(tmp_path: Path, replica):
    path = tmp_path / "truth.jsonl"
    SlowStart.func_or_class(0.0, 0.05, str(path))

    entered, left = rows(path)
    assert (entered["event"], left["event"]) == ("constructor_entered", "constructor_left")
    assert left["at_s"] - entered["at_s"] >= 0.05


def start(state_file: Path, failures: int, healthy_tries: int = 1) -> bool:
    """Return True if one call of the constructor succeeds."""
    try:
        SickStart.func_or_class(
            service_time_s=0.0,
            healthy_tries=healthy_tries,
            failures=failures,
            init_time_s=0.0,
            state_file=str(state_file),
            truth_file=None,
        )
    except RuntimeError as error:
        assert "as arranged" in str(error)  # noqa: PT017  other errors must surface
        return False
    return True


def test_the_first_attempts_succeed_and_the_next_ones_fail(tmp_path: Path):
    tries = [start(tmp_path / "tries", failures=2, healthy_tries=2) for _ in range(7)]

    assert tries == [True, True, False, False, True, True, True]


def test_with_minus_one_all_attempts_after_the_first_fail(tmp_path: Path):
    tries = [start(tmp_path / "tries", failures=-1) for _ in range(30)]

    assert tries == [True] + [False] * 29


def try_often(state_file: Path) -> list[int]:
    return [SickStart.func_or_class._count_try(str(state_file)) for _ in range(50)]


def test_attempts_in_several_processes_are_counted_once_each(tmp_path: Path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        counted = pool.map(try_often, [tmp_path / "tries"] * 4, chunksize=1)

    assert sorted(number for numbers in counted for number in numbers) == list(range(1, 201))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, 1),
        ({"min_replicas": 2}, 2),
        ({"min_replicas": 0}, 0),
        ({"initial_replicas": 3}, 3),
        ({"min_replicas": 0, "initial_replicas": 0}, 0),
    ],
)
def test_as_many_attempts_succeed_as_the_deployment_begins_with(
    args: dict[str, int], expected: int
):
    assert bound(sick_start.app(SickStartArgs(**args)))["healthy_tries"] == expected


def test_each_deployment_counts_for_itself_in_the_temporary_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = [bound(sick_start.app(SickStartArgs()))["state_file"] for _ in range(2)]
    for file in files:
        assert SickStart.func_or_class._count_try(file) == 1

    assert {path.name for path in tmp_path.iterdir()} == set(files)


def test_health_check_times_reach_the_deployment():
    app = sick_health.app(SickHealthArgs(health_check_period_s=0.5, health_check_timeout_s=3))

    config = app._bound_deployment._deployment_config
    assert (config.health_check_period_s, config.health_check_timeout_s) == (0.5, 3)
    assert config.autoscaling_config.max_replicas == 4


def sick_health_replica(sick_file: Path | None, sick_replicas: str = "all", mode: str = "raise"):
    return SickHealth.func_or_class(
        service_time_s=0.0,
        sick_file=None if sick_file is None else str(sick_file),
        sick_replicas=sick_replicas,
        mode=mode,
        truth_file=None,
    )


def is_healthy(replica) -> bool:
    try:
        asyncio.run(asyncio.wait_for(replica.check_health(), timeout=0.3))
    except (RuntimeError, TimeoutError):
        return False
    return True


@pytest.mark.parametrize("mode", ["raise", "hang"])
def test_checks_fail_while_the_file_exists(tmp_path: Path, mode: str):
    sick_file = tmp_path / "sick"
    replica = sick_health_replica(sick_file, mode=mode)

    assert is_healthy(replica)
    sick_file.touch()
    assert not is_healthy(replica)
    sick_file.unlink()
    assert is_healthy(replica)


def test_of_new_replicas_only_those_made_while_the_file_exists_are_sick(tmp_path: Path):
    sick_file = tmp_path / "sick"
    old = sick_health_replica(sick_file, "new")
    sick_file.touch()
    new = sick_health_replica(sick_file, "new")

    assert (is_healthy(old), is_healthy(new)) == (True, False)
    sick_file.unlink()
    assert is_healthy(new)


def test_without_a_file_no_check_fails():
    assert is_healthy(sick_health_replica(None))
    assert is_healthy(sick_health_replica(None, "new", "hang"))


def test_a_check_that_hangs_ends_with_the_sickness(tmp_path: Path):
    sick_file = tmp_path / "sick"
    sick_file.touch()
    replica = sick_health_replica(sick_file, mode="hang")

    async def recover() -> bool:
        check = asyncio.create_task(replica.check_health())
        await asyncio.sleep(0)
        hung = not check.done()
        sick_file.unlink()
        await asyncio.wait_for(check, timeout=30)
        return hung

    assert asyncio.run(recover())


def test_custom_resources_reach_the_actors_of_the_replicas():
    args = StarvedArgs.model_validate({"resources.gold": "2", "num_cpus": "0.5"})

    app = starved.app(args)
    assert app._bound_deployment.ray_actor_options == {"num_cpus": 0.5, "resources": {"gold": 2.0}}


def test_resources_given_in_both_forms_are_refused():
    with pytest.raises(ValidationError, match=r"resources and resources\.gold are both given"):
        StarvedArgs.model_validate({"resources": {"gold": 1}, "resources.gold": 1})


def test_no_custom_resource_is_asked_for_by_default():
    assert starved.app(StarvedArgs())._bound_deployment.ray_actor_options == {"num_cpus": 1.0}


@pytest.mark.parametrize("rank", [0, SimpleNamespace(rank=0)], ids=["Ray 2.52", "since"])
def test_the_replica_of_rank_0_is_the_first(rank: Any, monkeypatch):
    monkeypatch.setattr(serve, "get_replica_context", lambda: SimpleNamespace(rank=rank))

    assert Starved.func_or_class._is_first()


@pytest.mark.parametrize("app", [sick_start, sick_health, starved])
def test_every_argument_of_the_constructor_is_bound(app):
    args = next(iter(inspect.signature(app.app).parameters.values())).annotation()
    application = app.app(args)

    constructor = inspect.signature(application._bound_deployment.func_or_class.__init__)
    assert bound(application).keys() == constructor.parameters.keys() - {"self"}
