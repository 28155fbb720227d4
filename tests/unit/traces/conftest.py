"""A trace that is read from a file, and what a trace that is refused is told."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.unit.trace_cases import Read, reader, refusal


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reader(tmp_path)


@pytest.fixture
def said(read: Read, tmp_path: Path) -> Callable[..., str]:
    return partial(refusal, read, tmp_path)
