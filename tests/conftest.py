"""Which tests share a process where several run at once (`pytest -n 3 --dist loadgroup`).

Most of the time of the sim and live tests is spent waiting for a load to be over, so three processes
on two cores take half as long as one. Tests of one file stay together, for the fixtures that they
share; those of real clusters make two groups, each with a cluster of its own.
"""

from pathlib import Path

import pytest

LIVE = Path(__file__).parent / "live"
LIVE_GROUPS = 2


def pytest_collection_modifyitems(items):
    live = sorted({item.path for item in items if item.path.parent == LIVE})
    for item in items:
        alone = item.path not in live
        group = item.path.stem if alone else f"live-{live.index(item.path) % LIVE_GROUPS}"
        item.add_marker(pytest.mark.xdist_group(group))
    # The longest first: a group that begins last ends last.
    items.sort(key=lambda item: item.path not in live)
