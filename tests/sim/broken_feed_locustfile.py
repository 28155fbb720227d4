"""Our stepped load, with a live feed in which every look of the probe is a fault."""

from collections.abc import Sequence

from locustfiles.stepped import SteppedUser, StepShape
from scalelag.plugin.web.feed import Feed
from scalelag.record.rows import Row

__all__ = ["StepShape", "SteppedUser"]


def _broken(_feed: Feed, _rows: Sequence[Row]) -> None:
    raise RuntimeError("a fault of the picture")


Feed.add_rows = _broken
