"""Run directories that somebody else made, with anything in the place of a file."""

import os
import shutil
from pathlib import Path

import pytest

from scalelag.errors import RecordError
from scalelag.record.run_dir import load_run
from tests.support.stored_runs import STORED

FILES = (
    "run.json",
    "replicas.jsonl",
    "evidence.jsonl",
    "seen.jsonl",
    "events.jsonl",
    "requests.arrow",
)


@pytest.mark.parametrize("stranger", ["pipe", "device", "folder"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_neither_waited_for_nor_read_without_end(
    tmp_path: Path, name: str, stranger: str
):
    run = shutil.copytree(STORED / "demo", tmp_path / "run")
    (run / name).unlink(missing_ok=True)
    if stranger == "pipe":
        os.mkfifo(run / name)
    elif stranger == "device":
        (run / name).symlink_to("/dev/zero")
    else:
        (run / name).mkdir()

    try:
        told = str(load_run(run).problems)
    except RecordError as error:
        told = str(error)

    assert name in told
