"""Files that commands write: what a user names may be a link, a device or a pipe."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from scalelag.errors import RecordError
from scalelag.record.output_file import check_named, write_file, write_named, writing_named

FULL = Path("/dev/full")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_target_of_a_link_is_replaced_and_not_the_link(tmp_path: Path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to("there/target.txt")

    write_named(link, b"new")

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert (names(tmp_path), names(target.parent)) == (["link.txt", "there"], ["target.txt"])


def test_a_link_to_what_is_not_there_yet_makes_it(tmp_path: Path):
    (tmp_path / "link").symlink_to("later")

    check_named(tmp_path / "link")
    write_named(tmp_path / "link", b"new")

    assert (tmp_path / "later").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("write", [write_file, write_named])
def test_a_file_keeps_its_mode(tmp_path: Path, write):
    kept = tmp_path / "kept"
    kept.write_text("old")
    kept.chmod(0o640)
    old = os.umask(0o022)
    try:
        write(kept, b"new")
        write(tmp_path / "new", b"new")
    finally:
        os.umask(old)

    assert (kept.read_text(), mode(kept), mode(tmp_path / "new")) == ("new", 0o640, 0o644)


def test_a_file_of_a_record_takes_the_place_of_a_link(tmp_path: Path):
    """A run directory may come from somebody else, with a link to a file of ours."""
    (tmp_path / "ours").write_text("old")
    (tmp_path / "report.json").symlink_to("ours")

    write_file(tmp_path / "report.json", b"{}")

    assert (tmp_path / "ours").read_text() == "old"
    assert not (tmp_path / "report.json").is_symlink()


@pytest.mark.parametrize("write", [write_file, write_named])
def test_files_beside_it_stay_whatever_they_are_called(tmp_path: Path, write):
    (tmp_path / "a.json.tmp").write_text("mine")
    (tmp_path / "b.json.tmp").mkdir()

    write(tmp_path / "a.json", b"{}")
    write(tmp_path / "b.json", b"{}")

    assert (tmp_path / "a.json.tmp").read_text() == "mine"
    assert names(tmp_path) == ["a.json", "a.json.tmp", "b.json", "b.json.tmp"]


def test_of_two_who_write_at_once_each_writes_all_of_it(tmp_path: Path):
    with writing_named(tmp_path / "a") as one, writing_named(tmp_path / "a") as other:
        one.write(b"one")
        other.write(b"other")

    assert (tmp_path / "a").read_text() == "one"  # its block ended last
    assert names(tmp_path) == ["a"]


def test_a_pipe_is_written_to(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()

    check_named(pipe)
    write_named(pipe, b"through")
    reader.join(20)

    assert read == [b"through"]
    assert pipe.is_fifo()


@pytest.mark.skipif(not FULL.is_char_device(), reason="this system has no /dev/full")
def test_a_device_is_written_to_and_its_error_is_told():
    check_named(FULL)
    with pytest.raises(RecordError, match=r"Cannot write /dev/full: No space left on device\."):
        write_named(FULL, b"x")
    write_named(Path(os.devnull), b"x")

    assert (FULL.is_char_device(), Path(os.devnull).is_char_device()) == (True, True)


def test_standard_output_goes_on_where_it_stands(tmp_path: Path):
    script = (
        "import sys; from pathlib import Path; from scalelag.record.output_file import write_named; "
        "print('before'); write_named(Path('/dev/stdout'), b'answer\\n'); print('after')"
    )
    out = tmp_path / "out.txt"
    with out.open("wb") as file:
        subprocess.run([sys.executable, "-c", script], stdout=file, check=True, timeout=60)
    piped = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=60
    )

    assert out.read_text() == "before\nanswer\nafter\n"
    assert piped.stdout == b"before\nanswer\nafter\n"
    assert Path("/dev/stdout").is_symlink()


def test_what_breaks_off_leaves_what_was_there(tmp_path: Path):
    kept = tmp_path / "kept"
    kept.write_text("old")

    def broken_off() -> None:
        with writing_named(kept) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()

    assert (kept.read_text(), names(tmp_path)) == ("old", ["kept"])
