"""What charts draw: the load and the replicas over time."""

import msgspec

from reports.model.report import Report


class Series(msgspec.Struct, frozen=True):
    """Curves of one deployment over seconds since the plan's start."""

    times_s: tuple[float, ...]
    running: tuple[int, ...]
    target: tuple[int | None, ...]


class Curves(msgspec.Struct, frozen=True):
    """What charts draw: requests per second by intended start, in bins of `bin_s`, and replicas."""

    bin_s: float
    times_s: tuple[float, ...]
    offered_rps: tuple[float, ...]
    completed_rps: tuple[float, ...]
    replicas: dict[str, Series]


class Analysis(msgspec.Struct, frozen=True):
    """A run, analysed: the report, and the curves that go with it."""

    report: Report
    curves: Curves
