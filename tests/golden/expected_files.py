"""Renderings, held against the files in expected/.

Look at them when a renderer changes: `SCALELAG_UPDATE_GOLDEN=1 pytest tests/golden` renews them.
Tests whose file changed fail in that run, so that it never passes for a check; read the difference,
then run the tests again without it.
"""

import os
import re
from pathlib import Path

import pytest

EXPECTED = Path(__file__).parent / "expected"
UPDATE = "SCALELAG_UPDATE_GOLDEN"
_FLOAT = re.compile(rb"-?\d+\.\d+(?:e[+-]?\d+)?")


def checked(path: Path, content: bytes) -> None:
    """Hold `content` against the file, or renew the file if that is asked for."""
    if os.environ.get(UPDATE) and (not path.exists() or path.read_bytes() != content):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        pytest.fail(f"{path.name} was renewed: read it, and run again without {UPDATE}")
    assert content.decode() == path.read_bytes().decode()


def steady(content: bytes) -> bytes:
    """JSON with 12 digits a figure: the last of 17 depend on how a processor adds up."""
    return _FLOAT.sub(lambda found: f"{float(found[0]):.12g}".encode(), content)
