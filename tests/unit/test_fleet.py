"""Replicas for days of traffic: the coarse simulation against the exact one, and bad input."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from reports.model.fleet import FleetReport
from reports.model.formats import ComparisonFormat
from reports.render.terminal.fleet import print_fleet, render_json_fleet, render_markdown_fleet
from reports.whatif.fleet.by_hour import (
    demand_of,
    fleet_hours,
    requests_of,
    reversals_of,
    steady_hours,
)
from reports.whatif.fleet.coarse import FleetCourse
from scalelag.cli.main import app
from scalelag.cli.whatif_fleet import FleetOptions, fleet, size_fleet
from scalelag.errors import UsageError
from scalelag.plan.trace import TraceSpec, read_trace
from tests.support.built.calibration import CALIBRATION
from tests.support.coarse_exact import RAYS_PACE, coarse_and_exact
from tests.support.hostile import hostile, obeyed, printed

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    path.write_bytes(msgspec.json.encode(CALIBRATION))
    return path


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """20 rps at night, and 60 from 8 to 20 h, in rows of ten minutes."""
    path = tmp_path / "day.csv"
    rows = [f"{t * 600},{60 if 48 <= t < 120 else 20}" for t in range(144)]
    path.write_text("\n".join(["time,rps", *rows, "86400,20"]))
    return path


def course(came, running, turn_s=10.0, target=(), waiting=()):
    zeros = np.zeros(len(came))
    return FleetCourse(
        turn_s,
        np.asarray(came, np.float64),
        np.asarray(running, np.int64),
        np.asarray(target or running, np.int64),
        np.asarray(waiting or zeros, np.float64),
    )


def test_a_day_is_repeated_for_a_week(day: Path):
    trace = read_trace(TraceSpec(str(day)))
    one, week = requests_of(trace, 1.0, 10.0), requests_of(trace, 7.0, 10.0)

    assert one.sum() == pytest.approx(12 * 3600 * (20 + 60), rel=0.01)
    assert week.size == 7 * one.size
    assert week.sum() == pytest.approx(7 * one.sum(), rel=0.01)


def test_arrivals_are_counted_into_steps(tmp_path: Path):
    path = tmp_path / "arrivals.csv"
    path.write_text("timestamp\n" + "\n".join(f"{n * 0.5}" for n in range(200)))

    came = requests_of(read_trace(TraceSpec(str(path), kind="arrivals")), 60 / 86_400, 10.0)

    assert came.tolist() == pytest.approx([20.0] * 6, abs=1.0)


def test_demand_short_and_steady_replicas_by_hand():
    # 10 rps a replica; 15, 25 and 5 rps call for 2, 3 and 1; 2, 2 and 2 run, 10 s each.
    found = course([150, 250, 50], [2, 2, 2])
    [hour] = fleet_hours(found, 10.0)

    assert demand_of(found, 10.0).tolist() == [2, 3, 1]
    assert hour.replica_hours == pytest.approx(60 / 3600)
    assert hour.short_replica_hours == pytest.approx(10 / 3600)
    assert hour.short_s == 10.0
    assert hour.peak_rps == 25.0
    assert steady_hours(found, 10.0) == pytest.approx(90 / 3600)


def test_hours_begin_at_the_time_of_day_at_which_the_traffic_does():
    [hour] = fleet_hours(course([1], [1]), 1.0, begun_s=23 * 3600.0)

    assert hour.hour == 23


def test_turns_of_the_target_are_counted():
    assert reversals_of(course([0] * 6, [1] * 6, target=(1, 3, 3, 2, 4, 4))) == 2


@pytest.mark.parametrize(
    ("levels", "pace", "most_ratio"),
    [
        ((5, 60, 20, 90, 5), {"max_replicas": 12}, 0.05),
        ((20, 40, 80, 40), {"max_replicas": 12}, 0.05),
        ((20, 40, 80, 40), RAYS_PACE, 0.05),
        ((10, 30, 60, 40, 10), RAYS_PACE, 0.10),
    ],
)
def test_the_coarse_simulation_takes_as_many_replica_hours_as_the_exact_one(
    levels, pace, most_ratio
):
    """The errors that docs/whatif.md states."""
    found = coarse_and_exact(levels, pace)

    assert found.coarse_h == pytest.approx(found.exact_h, rel=most_ratio)


def test_a_week_by_hour_of_day(calibration: Path, day: Path):
    options = FleetOptions(calibration, day, 7.0, ("max_replicas=20", "target_ongoing_requests=1"))

    found = size_fleet(None, options)

    night, noon = found.hours[3], found.hours[13]
    assert [one.hour for one in found.hours] == list(range(24))
    # 20 rps of 0.2 s keep 4 open, and 60 keep 12, at a target of 1 each.
    assert night.mean_replicas == pytest.approx(4, abs=0.1)
    assert noon.mean_replicas == pytest.approx(12, abs=0.1)
    assert found.hours[8].short_s > 0
    assert noon.short_s == 0
    assert found.replica_hours == pytest.approx(sum(one.replica_hours for one in found.hours))
    assert "Ray's defaults" in found.notes[0]


def test_a_run_gives_settings_and_the_time_of_a_start(calibration: Path, day: Path):
    found = size_fleet(DEMO, FleetOptions(calibration, day, 0.1, ("max_replicas=8",)))

    assert found.settings["upscale_delay_s"] == 2.0
    assert found.settings["max_replicas"] == 8
    assert 0 < found.start_s < 10
    assert found.notes == ()


def test_every_format_has_the_hours(
    calibration: Path, day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    options = FleetOptions(calibration, day, 1.0, ("max_replicas=8",))
    output = tmp_path / "fleet.json"

    assert fleet(None, options, ComparisonFormat.JSON, output) == 0
    assert fleet(None, options, ComparisonFormat.MARKDOWN, None) == 0
    assert fleet(None, options, ComparisonFormat.TERMINAL, None) == 0

    assert len(msgspec.json.decode(output.read_bytes())["hours"]) == 24
    answer = hostile(msgspec.json.decode(output.read_bytes(), type=FleetReport))
    shown = [printed(lambda console: print_fleet(console, answer), 100)]
    shown += [made(answer).decode() for made in (render_markdown_fleet, render_json_fleet)]
    assert [obeyed(text) for text in shown] == [[], [], []]
    assert "replica-hours" in capsys.readouterr().out


def test_traffic_begins_on_the_replicas_that_are_deployed(calibration: Path, day: Path):
    settings = ("max_replicas=20", "initial_replicas=12", "downscale_delay_s=1e6")

    found = size_fleet(None, FleetOptions(calibration, day, 1.0, settings))

    assert found.hours[0].mean_replicas == pytest.approx(12)


def test_a_day_in_a_terminal_is_a_table_by_hour_in_true_words(calibration: Path, day: Path):
    settings = ("max_replicas=20", "target_ongoing_requests=1")
    found = size_fleet(None, FleetOptions(calibration, day, 1.0, settings))

    def told(steady_hours: float) -> str:
        answer = msgspec.structs.replace(
            found, replica_hours=50.0, steady_replica_hours=steady_hours
        )
        return printed(lambda console: print_fleet(console, answer), 80)

    more, fewer, same = map(told, (40.0, 100.0, 50.0))

    lines = [line.split() for line in more.splitlines()]
    rows = [line for line in lines if line and re.fullmatch(r"[0-2][0-9]", line[0])]
    assert [len(row) for row in rows] == [9] * 24
    assert ["hour", "mean", "peak", "mean", "peak", "hours", "min", "hours", "waiting"] in lines
    assert "Replicas for 1 day of" in more
    assert "over 1 day" in more
    assert "25 % more than the 40.0" in " ".join(more.split())
    assert "50 % less than the 100.0" in " ".join(fewer.split())
    assert "as many as the 50.0" in " ".join(same.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trace": None}, "goes with --trace"),
        ({"days": 0.0}, "--days 0"),
        ({"days": float("nan")}, "--days nan"),
        ({"capacity": Path("/nowhere/calibration.json")}, "cannot be read"),
        ({"others": ("--steps",)}, "--steps does not go with --capacity"),
        ({"assignments": ("max_replica=3",)}, "near it: max_replicas"),
        ({"assignments": ("max_replicas=0",)}, "Ray refuses"),
    ],
)
def test_what_makes_no_sense_is_refused(calibration: Path, day: Path, change, said):
    options = msgspec.structs.replace(FleetOptions(calibration, day, 1.0), **change)

    with pytest.raises(UsageError, match=said):
        size_fleet(None, options)


@pytest.mark.parametrize(
    ("field", "value"),
    [("capacity_rps", 0), ("capacity_rps", -3), ("capacity_rps", 1e300), ("latency_ms", 0)],
)
def test_a_calibration_that_no_replica_can_have_is_refused(calibration: Path, day, field, value):
    found = msgspec.json.decode(calibration.read_bytes())
    (found if field in found else found["stages"][0])[field] = value
    calibration.write_bytes(msgspec.json.encode(found))

    with pytest.raises(UsageError, match=re.escape(f"{field} {value:g} is no rate or time")):
        size_fleet(None, FleetOptions(calibration, day, 1.0))


def test_what_an_answer_rests_on_is_noted(calibration: Path, day: Path):
    found = msgspec.json.decode(calibration.read_bytes())
    calibration.write_bytes(
        msgspec.json.encode(found | {"complete": False, "reason": "interrupted"})
    )

    notes = size_fleet(None, FleetOptions(calibration, day, 1.0)).notes

    assert "left open (interrupted): a replica may serve more than 10 requests/s" in notes[0]
    assert "max_replicas 1 is too few in 24 hours of the day" in notes[-1]


def test_a_calibration_of_a_newer_version_is_refused(calibration: Path, day: Path):
    found = msgspec.json.decode(calibration.read_bytes())
    calibration.write_bytes(msgspec.json.encode(found | {"schema_version": 2}))

    with pytest.raises(UsageError, match="has schema version 2; this scalelag reads up to 1"):
        size_fleet(None, FleetOptions(calibration, day, 1.0))


def test_a_file_that_is_no_calibration_and_one_without_a_rate_are_refused(
    tmp_path: Path, calibration: Path, day: Path
):
    broken, without = tmp_path / "broken.json", tmp_path / "without.json"
    broken.write_text("{}")
    found = msgspec.json.decode(calibration.read_bytes())
    without.write_bytes(msgspec.json.encode(found | {"capacity_rps": None, "reason": "too slow"}))

    with pytest.raises(UsageError, match="is no calibration"):
        size_fleet(None, FleetOptions(broken, day, 1.0))
    with pytest.raises(UsageError, match="found no rate: too slow"):
        size_fleet(None, FleetOptions(without, day, 1.0))


def test_there_is_no_page_of_it(calibration: Path, day: Path):
    with pytest.raises(UsageError, match="no page"):
        fleet(None, FleetOptions(calibration, day, 1.0), ComparisonFormat.HTML, None)


@pytest.mark.parametrize("number", [100, 150, 950, 36_050])
def test_arrivals_that_are_repeated_keep_their_rate(tmp_path: Path, number: int):
    """10 a second for 10, 15, 95 and 3605 s: a round ends a gap after its last arrival."""
    path = tmp_path / "arrivals.csv"
    path.write_text("timestamp\n" + "\n".join(f"{n / 10}" for n in range(number)))

    came = requests_of(read_trace(TraceSpec(str(path), kind="arrivals")), 1.0, 10.0)

    assert came.sum() == pytest.approx(864_000, rel=1e-3)
    assert came.min() == pytest.approx(100, abs=2)
    assert came.max() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("name", ["max_ongoing_requests", "graceful_shutdown_timeout_s"])
def test_a_setting_that_the_flow_does_not_know_is_refused(calibration: Path, day: Path, name: str):
    with pytest.raises(UsageError, match=f"whatever {name} is"):
        size_fleet(None, FleetOptions(calibration, day, 1.0, (f"{name}=1",)))


def test_a_calibration_of_another_deployment_is_noted(calibration: Path, day: Path):
    found = msgspec.json.decode(calibration.read_bytes())
    calibration.write_bytes(msgspec.json.encode(found | {"deployments": ["x/Y", "x/Z"]}))
    options = FleetOptions(calibration, day, 0.1, ("max_replicas=8",))

    assert "The calibration is of x/Y, x/Z" in size_fleet(DEMO, options).notes[0]
    assert "x/Y" not in size_fleet(None, options).notes[0]


@pytest.mark.parametrize("option", [["--seed", "3"], ["--policy-of-application"]])
def test_an_option_that_says_nothing_here_is_refused(
    calibration: Path, day: Path, option: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        app(["whatif", "--capacity", str(calibration), "--trace", str(day), *option])

    assert ended.value.code == 2
    assert f"{option[0]} does not go with --capacity" in capsys.readouterr().err


def test_a_deployment_by_name_has_no_meaning_without_a_run(calibration: Path, day: Path):
    options = FleetOptions(calibration, day, 1.0, ("app/D:max_replicas=3",))

    with pytest.raises(UsageError, match="without RUN there is no deployment by name"):
        size_fleet(None, options)


def test_less_time_than_a_step_is_refused(calibration: Path, day: Path):
    with pytest.raises(UsageError, match="--days 1e-05: it is simulated in steps of 10 s"):
        size_fleet(None, FleetOptions(calibration, day, 0.00001))


def test_a_part_of_a_trace_is_taken_as_a_run_takes_it(calibration: Path, day: Path):
    options = FleetOptions(calibration, day, 1.0, of_trace={"from": "8h", "to": "20h"})

    found = size_fleet(None, options)

    assert {one.mean_rps for one in found.hours} == {60.0}
