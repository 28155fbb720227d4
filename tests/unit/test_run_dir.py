"""The run directory: made, written, and loaded as far as it can be read."""

import json
from pathlib import Path

import pytest

from scalelag.errors import RecordError, UsageError
from scalelag.record.run_dir import RUN_FILE, check_out, create_run_dir, load_run_info

STORED = Path(__file__).parents[1] / "golden" / "stored"

# 22 November 2026, 17:45:01 UTC.
NOW_S = 1_795_369_501.25


def test_a_run_directory_is_named_by_utc_time_and_name(tmp_path: Path):
    path = create_run_dir(tmp_path / "runs", "demo", NOW_S)

    assert path == tmp_path / "runs" / "20261122-174501-demo"
    assert path.is_dir()


def test_runs_of_one_second_are_numbered(tmp_path: Path):
    paths = [create_run_dir(tmp_path, "demo", NOW_S) for _ in range(3)]

    assert [path.name for path in paths] == [
        "20261122-174501-demo",
        "20261122-174501-demo-2",
        "20261122-174501-demo-3",
    ]


def test_a_folder_that_can_be_made_is_not_made_by_the_check(tmp_path: Path):
    check_out(tmp_path / "runs" / "nightly")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file", "file is no folder"),
        ("file/runs", "file is no folder"),
        ("nowhere", "nowhere is no folder"),
        ("nowhere/runs", "nowhere is no folder"),
        ("/dev/full", "/dev/full is no folder"),
    ],
)
def test_an_out_in_which_nothing_can_be_made_is_refused(tmp_path: Path, out: str, said: str):
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")

    with pytest.raises(UsageError, match=said):
        check_out(tmp_path / out)


def test_an_out_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch):
    # Root may write to any folder but those of a read-only file system.
    monkeypatch.setattr("scalelag.record.run_dir.os.access", lambda *_: False)

    with pytest.raises(UsageError, match="cannot be written to"):
        check_out(tmp_path / "runs")


@pytest.mark.parametrize("name", ["a", "0", "Model-v1.2_x", "x" * 80])
def test_a_file_name_is_a_name(tmp_path: Path, name: str):
    assert create_run_dir(tmp_path, name, NOW_S).name == f"20261122-174501-{name}"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-x", ".hidden", "a/b", "../up", "a b", "a\n", "é", "x" * 81, "a\0"]
)
def test_what_is_no_file_name_is_a_usage_error(tmp_path: Path, name: str):
    with pytest.raises(UsageError, match="the name"):
        create_run_dir(tmp_path, name, NOW_S)

    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_made_is_a_record_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(RecordError, match="file"):
        create_run_dir(tmp_path / "file", "demo", NOW_S)


@pytest.mark.parametrize("field", ["at_s", "duration_s"])
@pytest.mark.parametrize("value", [2.4e163, -1e9])
def test_a_plan_that_no_run_follows_is_a_damaged_record(tmp_path: Path, field: str, value: float):
    """Curves over it would fill the memory."""
    run = next(STORED.glob(f"*/{RUN_FILE}"))
    found = json.loads(run.read_bytes())
    found["plan"]["stages"][0][field] = value
    (tmp_path / RUN_FILE).write_text(json.dumps(found))

    load_run_info(run.parent)
    with pytest.raises(RecordError, match="its stages are damaged"):
        load_run_info(tmp_path)
