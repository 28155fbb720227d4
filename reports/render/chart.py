"""Offered load, RUNNING and target replicas on one time axis, drawn with characters.

plotext 6 keeps one figure and one terminal per process: each chart clears the figure first.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.console import Console
from rich.text import Text

from reports.analysis.model import Curves, DeploymentReport, Report, Series
from reports.render.layout import INDENT, emit, flow, room
from reports.render.wording import plain

_MOST_CHARTS = 3
_HEIGHT = 15
_LEAST_WIDTH = 40
_OFFERED, _TARGET, _RUNNING = "░", "o", "█"
_COLOURS = {_OFFERED: "blue", _TARGET: "orange+", _RUNNING: "green+"}
_TARGET_EVERY = 4


def print_charts(console: Console, report: Report, curves: Curves) -> None:
    """Print a chart of each deployment that scales, three at most, and name those left out."""
    keys = [key for key, deployment in report.deployments.items() if _scales(deployment)]
    ...
