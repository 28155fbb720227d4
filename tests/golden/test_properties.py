"""Properties of the report on any run, tried on the two stored ones and on variations of them."""

import random
import shutil
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from reports.analysis.analyse import analyse
from reports.model.intervals import Span
from reports.model.report import Report
from reports.model.steps import Phase
from scalelag.record.run_dir import EVIDENCE_FILE, REPLICAS_FILE, REQUESTS_FILE, load_run
from tests.support.stored_runs import RUNS, STORED, analysed, recorded

# --- the order of rows -----------------------------------------------------------------------


def mix_requests(path: Path, chance: random.Random) -> None:
    """The same rows in another order, in batches of other sizes."""
    with pa.ipc.open_stream(path) as stream:
        table = stream.read_all()
    order = list(range(table.num_rows))
    chance.shuffle(order)
    mixed = table.take(order)
    with path.open("wb") as file, pa.ipc.new_stream(file, mixed.schema) as writer:
        for batch in mixed.combine_chunks().to_batches(max_chunksize=97):
            writer.write_batch(batch)


def mix_lines(path: Path, chance: random.Random, *times: str) -> None:
    """Lines of the same time (the first of `times` that a line has) in another order."""
    lines = [(msgspec.json.decode(line), line) for line in path.read_bytes().splitlines()]
    keyed = [(next((row[t] for t in times if t in row), None), line) for row, line in lines]
    mixed: list[bytes] = []
    for _, group in groupby(keyed, key=lambda one: one[0]):
        alike = [line for _, line in group]
        chance.shuffle(alike)
        mixed += alike
    path.write_bytes(b"\n".join(mixed) + b"\n")


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_rows_changes_nothing(name, seed, tmp_path):
    chance = random.Random(seed)
    path = tmp_path / name
    shutil.copytree(STORED / name, path)
    mix_requests(path / REQUESTS_FILE, chance)
    mix_lines(path / REPLICAS_FILE, chance, "received", "hi", "to")
    mix_lines(path / EVIDENCE_FILE, chance, "at_s", "received")

    mixed = analyse(load_run(path)).report

    assert mixed == analyse(recorded(name)).report


# --- the length of time ----------------------------------------------------------------------


def stretched(value: Any, by: float, name: str = "") -> Any:
    """The same, all of it `by` times as slow: what is a time and what a rate, its name says."""
    if isinstance(value, msgspec.Struct):
        fields = {field: getattr(value, field) for field in value.__struct_fields__}
        return msgspec.structs.replace(
            value, **{field: stretched(one, by, field) for field, one in fields.items()}
        )
    if isinstance(value, dict):
        return {key: stretched(one, by, str(key)) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(stretched(one, by, name) for one in value)
    if isinstance(value, int | float | np.ndarray) and not isinstance(value, bool):
        if name.endswith("_per_s") or name in ("start_level", "end_level"):
            return value / by
        if name.endswith("_s"):
            return value * value.dtype.type(by) if isinstance(value, np.ndarray) else value * by
    return value


def lags(report: Report) -> dict[Any, tuple[float | None, ...]]:
    """Every lag and every phase of it, as value, lower and upper bound."""
    found: dict[Any, Span | Phase | float | None] = {}
    for key, deployment in report.deployments.items():
        for step in deployment.steps:
            at = (key, step.index)
            found |= {(*at, "total_s"): step.total_s, (*at, "unattributed_s"): step.unattributed_s}
            found |= {(*at, "at_s"): step.at_s, (*at, "hold_s"): step.hold_s}
            found |= {(*at, phase.name): phase for phase in step.phases}
        for way in (deployment.scale_up, deployment.scale_down):
            for name in way.__struct_fields__:
                stat = getattr(way, name)
                if isinstance(stat, msgspec.Struct) and name != "excess_s":
                    found |= {
                        (key, type(way).__name__, name, one): getattr(stat, one)
                        for one in stat.__struct_fields__
                    }
    return {
        place: (one.value, one.lo, one.hi) if isinstance(one, msgspec.Struct) else (one,)
        for place, one in found.items()
    }


def latencies_ms(report: Report) -> list[float | None]:
    load = report.load
    names = [name for name in load.__struct_fields__ if name.endswith("_ms")]
    return [getattr(load, name) for name in names] + [
        getattr(step, name)
        for step in load.steps
        for name in step.__struct_fields__
        if name.endswith("_ms")
    ]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("by", [0.5, 2.0, 4.0])
def test_a_run_that_is_slower_in_everything_has_lags_that_are_longer_by_as_much(name, by):
    """By powers of two, which change no digit of a Unix time."""
    plain = analysed(name).report

    slow = analyse(stretched(recorded(name), by)).report

    expected = {
        place: tuple(None if figure is None else figure * by for figure in figures)
        for place, figures in lags(plain).items()
    }
    measured = [place for place, figures in expected.items() if figures[0]]
    assert len(measured) >= 10
    assert lags(slow).keys() == expected.keys()
    for place, figures in expected.items():
        for figure, one in zip(figures, lags(slow)[place], strict=True):
            assert one == (None if figure is None else pytest.approx(figure, rel=1e-6)), place
    assert latencies_ms(slow) == pytest.approx([one and one * by for one in latencies_ms(plain)])


# --- parts and the whole ---------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_parts_of_a_run_add_up_to_it(name):
    report = analysed(name).report
    load = report.load

    for figure in ("planned", "failed", "not_sent"):
        for parts in (load.steps, load.names.values(), load.windows):
            assert sum(getattr(part, figure) for part in parts) == getattr(load, figure)
    for deployment in report.deployments.values():
        for step in deployment.steps:
            parts = [p.value for p in step.phases if p.part_of == "total" and p.value is not None]
            if step.total_s is not None and step.total_s.value is not None:
                whole = pytest.approx(step.total_s.value, abs=1e-6)
                assert sum(parts) + (step.unattributed_s or 0.0) == whole


@pytest.mark.parametrize("name", RUNS)
def test_shares_of_time_are_at_most_100_percent(name):
    for deployment in analysed(name).report.deployments.values():
        found = deployment.elasticity
        for share in (found.tau_u_pct, found.tau_o_pct, found.theta_u_pct):
            assert share is not None
            assert 0 <= share.lo <= share.upper <= 100
