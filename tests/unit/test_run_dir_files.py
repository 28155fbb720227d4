"""Files of a run directory: as they are written, and read if they are broken."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scalelag.errors import NoRunError, RecordError
from scalelag.plan.stages import parse_plan
from scalelag.record.event_rows import EventRow
from scalelag.record.output_file import check_writable, write_file
from scalelag.record.requests_file import RequestColumns, RequestWriter
from scalelag.record.row_files import RowWriter
from scalelag.record.rows import (
    ControllerHealth,
    ControllerRestart,
    DeploymentPoll,
    Gap,
    Poll,
    Row,
    StatusChange,
    Transition,
)
from scalelag.record.run_dir import (
    load_run,
    write_run_info,
)
from scalelag.record.run_info import (
    ClockInfo,
    DeploymentInfo,
    Edge,
    ProbeInfo,
    RunInfo,
    TargetInfo,
    Versions,
)
from tests.support.disk import at_most

NOW_S = 1_795_369_501.25

INFO = RunInfo(
    schema_version=1,
    name="demo",
    status="complete",
    reason=None,
    versions=Versions(scalelag="0.1.0", locust="2.43", python="3.11.2", ray="2.60.0"),
    options={"steps": "10rps:20s,10..80rps:60s", "drain": 30.0, "headers": ["x"]},
    plan=parse_plan("10rps:20s,10..80rps:60s", repeat=2),
    arrivals="poisson",
    seed=7,
    clock=ClockInfo(anchor_wall_s=NOW_S, anchor_monotonic_s=12.5, offset_s=-0.02, error_s=0.004),
    target=TargetInfo(
        host="http://127.0.0.1:8000",
        dashboard="http://127.0.0.1:8265",
        embedded=True,
        deployments={"app/Model": DeploymentInfo(autoscaling={"min_replicas": 1})},
        watched=("app/Model",),
    ),
    probe=ProbeInfo(rate_per_s=5.0, budget_ratio=0.02, busy_s=1.5, watched_s=100.0),
    workers=2,
    zero_s=NOW_S + 1.0,
    planned_requests=2900,
    edges=(Edge(stage=0, planned_s=0.0, actual_s=0.001),),
    load_ended_s=NOW_S + 161.0,
    watched_until_s=NOW_S + 191.0,
)

POLL = Poll(
    sent_s=1.0,
    received_s=1.1,
    http_status=200,
    deployments={"app/Model": DeploymentPoll({"RUNNING": 2}, target=3, status="UPSCALING")},
    controller=ControllerHealth(timestamp_s=1.05, start_time_s=0.5),
)

TRANSITION = Transition(
    deployment="app/Model",
    replica="abc",
    lo_s=1.0,
    hi_s=2.1,
    from_state="STARTING",
    to_state="RUNNING",
    node="n1",
)

ROWS: list[Row] = [
    POLL,
    StatusChange(deployment="app/Model", hi_s=1.1, status="UPSCALING", trigger="AUTOSCALING"),
    TRANSITION,
    Gap(from_s=2.0, to_s=4.5, reason="HTTP 503", polls=3),
    ControllerRestart(lo_s=2.0, hi_s=4.6, old_start_s=0.5, new_start_s=3.0),
]


def requests(intended_s: list[float]) -> RequestColumns:
    n = len(intended_s)
    return RequestColumns(
        intended_s=np.array(intended_s, np.float64),
        send_lag_s=np.zeros(n, np.float32),
        latency_s=np.full(n, 0.25, np.float32),
        status=np.full(n, 200, np.uint16),
        name=np.zeros(n, np.int32),
        error=np.full(n, -1, np.int32),
        worker=np.zeros(n, np.uint16),
        names=("/",),
        errors=(),
    )


def write_requests(path: Path, intended_s: list[float]) -> None:
    writer = RequestWriter(path / "requests.arrow")
    if intended_s:
        writer.append(requests(intended_s))
    writer.close()


def write_rows(path: Path, rows: Sequence[Row | EventRow], name: str = "replicas.jsonl") -> None:
    writer = RowWriter(path / name)
    for row in rows:
        writer.append([row])
    writer.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A whole run directory."""
    write_run_info(tmp_path, INFO)
    write_requests(tmp_path, [1.0, 2.0])
    write_rows(tmp_path, ROWS)
    return tmp_path


def test_run_info_survives_the_round_trip(run: Path):
    assert load_run(run).info == INFO


def test_run_info_is_replaced_in_one_move(run: Path):
    closed = msgspec.structs.replace(INFO, status="interrupted", reason="Ctrl-C")

    write_run_info(run, closed)

    assert load_run(run).info == closed
    assert sorted(path.name for path in run.iterdir()) == [
        "replicas.jsonl",
        "requests.arrow",
        "run.json",
    ]


def test_writing_into_a_folder_that_is_gone_is_a_record_error(tmp_path: Path):
    with pytest.raises(RecordError, match=r"report\.json"):
        write_file(tmp_path / "gone" / "report.json", b"{}")


def test_a_path_is_checked_without_a_trace_on_it(tmp_path: Path):
    kept = tmp_path / "report.json"
    kept.write_bytes(b"{}")

    check_writable(kept)
    check_writable(tmp_path / "new.json")

    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert kept.read_bytes() == b"{}"
    for bad in (tmp_path, tmp_path / "gone" / "report.json", kept / "report.json"):
        with pytest.raises(RecordError, match="Cannot write"):
            check_writable(bad)
    with pytest.raises(RecordError, match=r"the folder .*gone does not exist"):
        check_writable(tmp_path / "gone" / "report.json")
    # Files of the kernel's folder are its own: it is there, and takes none.
    with pytest.raises(RecordError, match=r"Cannot write /proc/x.json: (?!the folder)"):
        check_writable(Path("/proc/x.json"))


def test_what_is_no_run_directory_is_a_slip_of_its_name(tmp_path: Path):
    for path in (tmp_path / "nosuch", tmp_path):
        with pytest.raises(NoRunError, match="name a run directory") as raised:
            load_run(path)
        assert raised.value.exit_code == 2


def test_rows_of_each_kind_survive_the_round_trip(run: Path):
    loaded = load_run(run)

    assert loaded.polls == (ROWS[0],)
    assert loaded.statuses == (ROWS[1],)
    assert loaded.transitions == (ROWS[2],)
    assert loaded.gaps == (ROWS[3],)
    assert loaded.restarts == (ROWS[4],)
    assert loaded.problems == ()


def test_rows_are_stored_under_the_names_of_the_design(run: Path):
    lines = [msgspec.json.decode(line) for line in (run / "replicas.jsonl").open("rb")]

    assert [line["type"] for line in lines] == [
        "poll",
        "status",
        "transition",
        "gap",
        "controller_restart",
    ]
    assert lines[0].keys() >= {"sent", "received", "deployments"}
    assert lines[2] == {
        "type": "transition",
        "deployment": "app/Model",
        "replica": "abc",
        "from": "STARTING",
        "to": "RUNNING",
        "lo": 1.0,
        "hi": 2.1,
        "node": "n1",
    }
    assert lines[3] == {"type": "gap", "from": 2.0, "to": 4.5, "reason": "HTTP 503", "polls": 3}


def test_rows_can_be_read_before_the_file_is_closed(tmp_path: Path):
    writer = RowWriter(tmp_path / "replicas.jsonl")
    write_run_info(tmp_path, INFO)
    write_requests(tmp_path, [])

    writer.append([POLL, TRANSITION])

    assert load_run(tmp_path).transitions == (TRANSITION,)


def test_of_events_the_last_row_of_each_counts_in_the_order_of_their_numbers(run: Path):
    def row(index: int, begun_s: float) -> EventRow:
        return EventRow(index, "scale", "scale D to 2", 1.0, begun_s)

    write_rows(run, [row(2, 1.0), row(1, 1.1), row(2, 1.2)], "events.jsonl")

    assert load_run(run).run_events == (row(1, 1.1), row(2, 1.2))


def test_a_full_disk_is_a_record_error():
    writer = RowWriter(Path("/dev/full"))

    with pytest.raises(RecordError, match=r"/dev/full.*No space left"):
        writer.append([POLL])


def test_a_disk_that_takes_half_a_row_is_a_record_error(tmp_path: Path):
    writer = RowWriter(tmp_path / "replicas.jsonl")
    writer.append([POLL])
    half_way = (tmp_path / "replicas.jsonl").stat().st_size + 20

    with pytest.raises(RecordError, match=r"replicas\.jsonl"), at_most(half_way):
        writer.append([TRANSITION])


def test_no_directory_is_a_record_error_that_says_so(tmp_path: Path):
    with pytest.raises(RecordError, match="nowhere does not exist"):
        load_run(tmp_path / "nowhere")


def test_a_directory_without_run_json_is_a_record_error_that_says_so(tmp_path: Path):
    with pytest.raises(RecordError, match=r"holds no run\.json"):
        load_run(tmp_path)


def test_a_file_in_place_of_a_directory_is_a_record_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"{}")

    with pytest.raises(RecordError, match="file"):
        load_run(tmp_path / "file")


def test_a_newer_schema_is_a_record_error_that_names_both_versions(run: Path):
    (run / "run.json").write_bytes(b'{"schema_version": 2, "everything": "else"}')

    with pytest.raises(RecordError, match=r"schema version 2.*up to 1"):
        load_run(run)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"<html>",
        b"{}",
        b'{"schema_version": "1"}',
        b'{"schema_version": 1}',
        b'{"schema_version": 1, "name": "\xff"}',
    ],
)
def test_a_garbage_run_json_is_a_record_error_that_names_it(run: Path, data: bytes):
    (run / "run.json").write_bytes(data)

    with pytest.raises(RecordError, match=r"run\.json"):
        load_run(run)


def test_a_run_json_cut_anywhere_is_a_record_error(run: Path):
    data = (run / "run.json").read_bytes()

    unharmed = []
    for offset in range(len(data.rstrip())):
        (run / "run.json").write_bytes(data[:offset])
        try:
            load_run(run)
        except RecordError:
            continue
        unharmed.append(offset)

    assert unharmed == []


def test_fields_that_a_later_version_added_are_ignored(run: Path):
    data = msgspec.json.decode((run / "run.json").read_bytes())
    (run / "run.json").write_bytes(msgspec.json.encode(data | {"weather": "fine"}))

    assert load_run(run).info == INFO


def test_a_truncated_last_row_is_a_problem_that_names_its_line(run: Path):
    data = (run / "replicas.jsonl").read_bytes()
    (run / "replicas.jsonl").write_bytes(data[:-10])

    loaded = load_run(run)

    assert loaded.gaps == (ROWS[3],)
    assert loaded.restarts == ()
    assert len(loaded.problems) == 1
    assert "replicas.jsonl" in loaded.problems[0]
    assert "line 5" in loaded.problems[0]


def test_rows_cut_anywhere_yield_those_before_the_cut(run: Path):
    data = (run / "replicas.jsonl").read_bytes()

    for offset in range(len(data)):
        (run / "replicas.jsonl").write_bytes(data[:offset])
        loaded = load_run(run)

        whole = data[:offset].count(b"\n")
        rest = data[:offset].rpartition(b"\n")[2]
        complete = data[offset : offset + 1] == b"\n" and bool(rest)  # only the line's end is gone
        read = [loaded.polls, loaded.statuses, loaded.transitions, loaded.gaps, loaded.restarts]
        assert sum(len(rows) for rows in read) == whole + complete
        assert bool(loaded.problems) == (bool(rest) and not complete)


def test_a_bad_row_in_the_middle_does_not_hide_the_others(run: Path):
    lines = (run / "replicas.jsonl").read_bytes().split(b"\n")
    lines[1], lines[3] = b'{"type": "comet"}', b"\xff\xff"
    (run / "replicas.jsonl").write_bytes(b"\n".join(lines))

    loaded = load_run(run)

    assert (loaded.polls, loaded.transitions) == ((ROWS[0],), (ROWS[2],))
    assert loaded.restarts == (ROWS[4],)
    assert "2 lines cannot be read, the first is line 2" in loaded.problems[0]


def test_missing_rows_are_a_problem_and_the_requests_are_still_read(run: Path):
    (run / "replicas.jsonl").unlink()

    loaded = load_run(run)

    assert loaded.requests.count == 2
    assert loaded.polls == ()
    assert "replicas.jsonl cannot be read" in loaded.problems[0]


def test_a_run_without_requests_is_read(run: Path):
    write_requests(run, [])

    loaded = load_run(run)

    assert loaded.requests.count == 0
    assert loaded.problems == ()
    assert loaded.polls == (POLL,)


def test_truncated_requests_are_a_problem_and_the_rows_are_still_read(run: Path):
    data = (run / "requests.arrow").read_bytes()
    (run / "requests.arrow").write_bytes(data[:-30])

    loaded = load_run(run)

    assert loaded.requests.count == 0
    assert "requests.arrow" in loaded.problems[0]
    assert loaded.polls == (POLL,)
