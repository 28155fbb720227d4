"""Paths on the command line that the system refuses."""

from pathlib import Path

import pytest

from scalelag.cli.paths import check_paths
from scalelag.errors import UsageError
from tests.support.fuzz import invoke


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a" * 300, "File name too long"),
        ("a\0b", "embedded null byte"),
        ("loop", "Too many levels"),
    ],
)
def test_a_path_that_cannot_be_looked_up_is_refused(tmp_path, monkeypatch, path, why):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")

    with pytest.raises(UsageError, match=why):
        check_paths([1, None, [Path(path)]])


def test_a_file_that_is_not_there_is_no_fault(tmp_path):
    check_paths([tmp_path / "missing" / "file", [tmp_path], str(tmp_path) * 1000])
    check_paths([[Path(",".join(f"locustfile_{number}.py" for number in range(50)))]])


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "a" * 300),
        ("compare", "x", "--against", "a" * 300),
        ("runs", "a" * 300),
        ("whatif", "a" * 300),
        ("tune", "a" * 300),
        ("export", "x", "--parquet", "a" * 300),
    ],
)
def test_each_command_refuses_it(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)

    assert invoke(*arguments) == 2
