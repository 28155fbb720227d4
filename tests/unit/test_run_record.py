"""`run.json` of a run while it goes on: a disk that fills up still takes how it ended."""

from pathlib import Path

import pytest

from scalelag.record.requests_file import RequestWriter
from scalelag.record.run_dir import REQUESTS_FILE, RUN_FILE, load_run
from tests.support.unpatched import import_unpatched
from tests.unit.recorded_runs import info


@pytest.fixture(scope="module")
def module():
    """The module under test, imported without Locust's monkey-patching of this very process."""
    return import_unpatched("scalelag.plugin.leader.run_record")


def nameless_bytes(folder: Path) -> int:
    """Room taken by files in `folder` that have no name and that this process has open."""
    opened = Path("/proc/self/fd").iterdir()
    links = [link for link in opened if link.is_symlink() and "(deleted)" in str(link.readlink())]
    return sum(link.stat().st_size for link in links if str(folder) in str(link.readlink()))


def test_room_for_the_end_is_held_until_the_record_is_closed(tmp_path: Path, module):
    RequestWriter(tmp_path / REQUESTS_FILE).close()
    (tmp_path / "replicas.jsonl").touch()
    record = module.RunRecord(tmp_path, info(status="interrupted", reason="not closed"))

    held = nameless_bytes(tmp_path)
    record.close(status="invalid", reason="No space left on device")

    assert held >= 2 * (tmp_path / RUN_FILE).stat().st_size
    assert nameless_bytes(tmp_path) == 0
    assert load_run(tmp_path).info.reason == "No space left on device"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["replicas.jsonl", REQUESTS_FILE, RUN_FILE]
    )
