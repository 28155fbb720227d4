"""The real runs in stored/, as they are read and analysed.

`demo` is a run of 5, 40 and 5 rps on an embedded cluster, `node-started` one whose second replica
waited for a node, `front-and-model` one of a real model behind a front. Of the many alike lines in
their evidence.jsonl ("slow_queue_length", "at_capacity") the first dozen is kept.
"""

from functools import cache
from pathlib import Path

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gates
from reports.model.charts import Analysis
from scalelag.record.run_dir import RecordedRun, load_run

STORED = Path(__file__).parents[1] / "golden" / "stored"
RUNS = ("demo", "node-started")


@cache
def recorded(name: str) -> RecordedRun:
    """The run as it was recorded."""
    return load_run(STORED / name)


@cache
def analysed(name: str) -> Analysis:
    """Its analysis, judged by the gates that it was run with."""
    run = recorded(name)
    return analyse(run, parse_gates(run.info.options["gate"]))
