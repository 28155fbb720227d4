"""Which tests share a process where two run at once (`pytest -n 2 --dist loadgroup`).

Most of the time of the sim and live tests is spent waiting for a load to be over. Those of real
clusters run one after another in one process: two clusters at once on two cores are late for each
other's tests. Beside them run all others, those of a file together for the fixtures that they share.
"""

from pathlib import Path

import pytest

LIVE = Path(__file__).parent / "live"


def is_live(item):
    return item.path.parent == LIVE or item.get_closest_marker("live") is not None


def pytest_collection_modifyitems(items):
    for item in items:
        group = "live" if is_live(item) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
    # The longest first: a group that begins last ends last.
    items.sort(key=lambda item: not is_live(item))
