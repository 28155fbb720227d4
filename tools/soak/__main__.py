"""A soak, into docs/reliability.md: `python -m tools.soak`.

Load goes up and down for `--minutes`, against a stand-in or real Ray (`--ray`), with the page open. Of
every process of ours memory, open files and threads are read every few seconds. It ends with 1 if one
of them grew by more than its bound (tools/soak/flat.py).
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import psutil

from reports.model.report import Report
from scalelag.console import say
from scalelag.record.run_dir import REPORT_FILE, load_run
from tests.support.waiting import wait_for
from tools.soak.flat import OF_PROCESS, Curve, Figure, problems
from tools.soak.page import Soak, soak_of, store
from tools.soak.scene import Scene, on_ray, on_standin
from tools.soak.visitor import Visitor, visiting

_EVERY_S: Final = 5.0
_CLOSED_DEADLINE_S: Final = 600.0
_MIB: Final = 2**20
_PAGE: Final = "page"


class Readings:
    """Figures of processes, by process and figure, at the moments `at_s`."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self._values: dict[tuple[str, Figure], list[float | None]] = defaultdict(list)

    def read(self, processes: dict[str, psutil.Process], visitor: Visitor) -> None:
        """Read all now."""
        self.at_s.append(time.time())
        for name, process in processes.items():
            for figure, value in figures_of(process).items():
                self._values[name, figure].append(value)
        heap_mib = visitor.heap_mib()
        if heap_mib is not None:
            self._values[_PAGE, "heap"].append(heap_mib)

    @property
    def curves(self) -> list[Curve]:
        """Return all that was read."""
        return [Curve(*key, tuple(values)) for key, values in self._values.items()]


def figures_of(process: psutil.Process) -> dict[Figure, float | None]:
    """Return the figures of one process now; None if it has ended."""
    try:
        with process.oneshot():
            memory = process.memory_info()
            files, threads = process.num_fds(), process.num_threads()
    except psutil.NoSuchProcess:
        return dict.fromkeys(OF_PROCESS)
    return {
        "resident": memory.rss / _MIB,
        "own": (memory.rss - memory.shared) / _MIB,
        "files": files,
        "threads": threads,
    }


def main() -> int:
    """Make a soak, write its table and picture, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--ray", action="store_true", help="on real Ray, not on a stand-in")
    parser.add_argument("--without-browser", action="store_true", help="ask as the page asks")
    parser.add_argument("--out", type=Path, help="folder to keep record and readings in")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder: Path = given.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        made: AbstractContextManager[Scene]
        made = (on_ray if given.ray else on_standin)(folder, given.minutes)
        with made as scene:
            scene.begin()
            with visiting(scene.web.url, browser=not given.without_browser) as visitor:
                readings = soaked(scene, visitor)
                (folder / "readings.json").write_bytes(
                    msgspec.json.encode((readings.at_s, readings.curves))
                )
                soak = ended(scene, visitor, readings, "real Ray" if given.ray else "stand-in")
    store(soak)
    found = problems(soak.trends) + visitor.complaints
    say("\n".join(found) or "all is flat")
    return 1 if found else 0


def soaked(scene: Scene, visitor: Visitor) -> Readings:
    """Read until the load is over."""
    processes = scene.processes()
    say(f"{', '.join(processes)}: {scene.plan.seconds / 60:g} minutes, the page {visitor.how}")
    readings = Readings()
    ends_s = time.monotonic() + scene.plan.seconds - 2 * _EVERY_S
    while time.monotonic() < ends_s:
        visitor.stay(_EVERY_S)
        readings.read(processes, visitor)
    return readings


def ended(scene: Scene, visitor: Visitor, readings: Readings, target: str) -> Soak:
    """Wait for the report, and return the soak with what is in it."""
    wait_for(lambda: scene.web.run_dirs, "the report", _CLOSED_DEADLINE_S)
    found = (scene.web.run_dirs[0] / REPORT_FILE).read_bytes()
    report = msgspec.json.decode(found, type=Report)
    today = datetime.now(UTC).date().isoformat()
    rows = load_run(scene.web.run_dirs[0]).requests
    return soak_of(target, visitor.how, today, (readings.at_s, readings.curves), report, rows)


if __name__ == "__main__":
    sys.exit(main())
