"""Plans in replicas: the load that so many of them serve."""

from pathlib import Path

import msgspec
import pytest

from reports.model.calibration import Calibration
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options
from scalelag.plan.stages import parse_plan

PLAN = "2replicas:60s,2..8replicas:30s,8replicas:settle<=60s"


def calibration(folder: Path, capacity_rps: float | None, reason: str | None = None) -> str:
    found = Calibration("p95<200ms", ("app/D",), capacity_rps, None, True, reason, ())
    path = folder / "calibration.json"
    path.write_bytes(msgspec.json.encode(found))
    return str(path)


def levels(options: dict[str, object]) -> list[tuple[float, float, float | None]]:
    plan = run_options(options).plan
    assert plan.unit == "rps"
    assert not plan.in_replicas
    return [(s.start_level, s.end_level, s.most_s) for s in plan.stages]


def test_a_plan_in_replicas_is_the_load_that_so_many_serve(tmp_path: Path):
    expected = [(25, 25, None), (25, 100, None), (100, 100, 60)]

    assert levels({"steps": PLAN, "capacity_rps": 12.5}) == expected
    assert levels({"steps": PLAN, "calibration": calibration(tmp_path, 12.5)}) == expected


def test_the_calibration_is_nearer_than_the_capacity_that_elasticity_is_measured_by(tmp_path: Path):
    given = {
        "steps": "4replicas:10s",
        "calibration": calibration(tmp_path, 10),
        "capacity_rps": 3.0,
    }

    assert levels(given) == [(40, 40, None)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"steps": "2replicas:60s"}, "is in replicas: say what load one replica serves, with"),
        ({"steps": "2replicas:60s", "calibration": "none.json"}, "none.json cannot be read"),
        ({"steps": "5rps:60s", "calibration": "none.json"}, "goes with --steps in replicas"),
        ({"steps": "2replicas:60s,5rps:60s"}, "one plan has one unit"),
        ({"steps": "2.5replicas:60s"}, "2.5 is not a whole number of replicas"),
        ({"steps": "2replica:60s"}, 'unknown unit "replica"; use rps'),
        ({"steps": "900000replicas:1h", "capacity_rps": 1000.0}, "no machine could hold it"),
    ],
)
def test_what_cannot_be_made_a_load_is_refused(given: dict[str, object], reason: str):
    with pytest.raises(UsageError, match=reason):
        run_options(given)


def test_a_calibration_without_a_rate_and_a_file_that_is_none_are_refused(tmp_path: Path):
    broken = tmp_path / "other.json"
    broken.write_text("[]")

    with pytest.raises(UsageError, match="found no rate: it was slow"):
        run_options({"steps": PLAN, "calibration": calibration(tmp_path, None, "it was slow")})
    with pytest.raises(UsageError, match="is no calibration"):
        run_options({"steps": PLAN, "calibration": str(broken)})


def test_a_calibration_that_was_left_open_is_refused_with_the_rate_that_it_found(tmp_path: Path):
    path = tmp_path / "calibration.json"
    found = Calibration("p95<200ms", ("app/D",), 12.5, None, False, "interrupted", ())
    path.write_bytes(msgspec.json.encode(found))

    with pytest.raises(UsageError, match=r"left open \(interrupted\).* give --capacity-rps 12\.5"):
        run_options({"steps": PLAN, "calibration": str(path)})


def test_repeats_keep_their_levels():
    plan = parse_plan("2replicas:60s", repeat=2).at_capacity(5)

    assert [(s.at_s, s.end_level) for s in plan.stages] == [(0, 10), (60, 10)]


# --- by Serve's API --------------------------------------------------------------------------


def test_a_plan_that_scales_a_deployment_is_a_list_of_events_beside_a_constant_load():
    options = run_options(
        {
            "steps": "2replicas:60s,8replicas:30s,8replicas:30s",
            "scale": "D",
            "rate": 20.0,
            "repeat": 2,
        }
    )

    assert [(e.at_s, e.kind, e.name, e.count) for e in options.events] == [
        (0, "scale", "D", 2),
        (60, "scale", "D", 8),
        (120, "scale", "D", 2),
        (180, "scale", "D", 8),
    ]
    assert {(s.start_level, s.end_level) for s in options.plan.stages} == {(20, 20)}
    assert len(options.plan.steps(240)) == 2, "its beginning and its end"


def test_without_a_rate_nothing_is_sent():
    assert run_options({"steps": "0replicas:9s,3replicas:9s", "scale": "a/D"}).schedule.count() == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"steps": "1..8replicas:60s", "scale": "D"}, "Give each stage one number and a duration"),
        ({"steps": "8replicas:settle<=60s", "scale": "D"}, "Give each stage one number"),
        ({"steps": "5rps:60s", "scale": "D"}, "--scale goes with --steps in replicas"),
        ({"steps": "5rps:60s", "rate": 5.0}, "--rate goes with --steps in replicas"),
        ({"steps": "2replicas:60s", "capacity_rps": 5.0, "rate": 5.0}, "--rate goes with --scale"),
        ({"steps": PLAN, "scale": "D", "calibration": "c.json"}, "give one of the two"),
    ],
)
def test_what_cannot_be_scaled_is_refused(given: dict[str, object], reason: str):
    with pytest.raises(UsageError, match=reason):
        run_options(given)
