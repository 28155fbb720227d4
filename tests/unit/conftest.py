"""Fixtures of several files of unit tests."""

import pytest

from scalelag.cluster.left_behind import journal_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A journal of changed clusters of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return journal_folder({"XDG_STATE_HOME": str(tmp_path)})
