"""`make bench`: every benchmark, one after the other, each with its ratios side by side."""

import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run every other script in this folder; end with 1 if one of them fails."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    scripts = sorted(path for path in HERE.glob("*.py") if path.name != Path(__file__).name)
    failed = False
    for script in scripts:
        print(f"\n== {script.stem}", flush=True)
        # From the root, so that the stand-in of the sim tests can be imported.
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{script.stem}"], cwd=HERE.parent, check=False
        )
        failed = failed or done.returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
