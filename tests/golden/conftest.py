"""Analyses to render, by name: see samples.py, which other tests of renderers use too."""

from collections.abc import Callable

import pytest

from reports.model.charts import Analysis
from tests.support.built import samples, traced


@pytest.fixture
def sample() -> Callable[[str], Analysis]:
    """Builds the sample of that name."""
    built = {
        "busy": samples.busy,
        "calm": samples.calm,
        "interrupted": samples.interrupted,
        "traced": traced.traced,
    }
    return lambda name: built[name]()
