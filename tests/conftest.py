"""Which tests share a process where several run at once (`pytest -n 3 --dist loadgroup`)."""

import pytest


def pytest_collection_modifyitems(items):
    """Those of a file stay together, for the fixtures that they share."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
