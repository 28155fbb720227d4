"""`make lowest`: the lowest dependencies of pyproject.toml installed, and every module imported.

`python -m tools.lowest 3.11 3.12 3.13` does so for these versions of Python; without any, for this one.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Those of the load process, in which Locust patches the standard library, and those of a replica.
PROCESSES = ("locust scalelag probes reports", "serve_apps")
# Ends without the interpreter's own end, at which the oldest gevent complains.
IMPORT_ALL = """
import importlib, os, pkgutil, sys
failed = 0
for package in sys.argv[1:]:
    if package == "locust":
        importlib.import_module(package)
        continue
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
    for name in (one.name for one in found if not one.name.endswith("__main__")):
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"{name}: {error!r}", flush=True)
            failed = 1
os._exit(failed)
"""


def check(python: str, folder: Path) -> bool:
    """Install the lowest versions for `python` in `folder`; True if all our modules are imported."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        sys.exit("uv is missing: make its set-up with make check, or install uv")
    program = folder / "bin" / "python"
    lowest = ["--resolution", "lowest-direct", "--only-binary", ":all:"]
    subprocess.run([uv, "venv", "-q", "--python", python, str(folder)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(program), *lowest]
    subprocess.run([*install, "-r", str(ROOT / "pyproject.toml")], check=True)
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONHOME"}
    codes = [
        subprocess.run(
            [str(program), "-c", IMPORT_ALL, *packages.split()],
            env=environ | {"PYTHONPATH": str(ROOT)},
            cwd=folder,
            check=False,
        ).returncode
        for packages in PROCESSES
    ]
    return not any(codes)


def main() -> int:
    """Check each version of Python that was named; 1 where a module cannot be imported."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", help="such as 3.12, or a path")
    failed: list[str] = []
    for python in parser.parse_args().pythons or [sys.executable]:
        try:
            with tempfile.TemporaryDirectory(prefix="scalelag-lowest-") as folder:
                right = check(python, Path(folder) / "env")
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            sys.stdout.write(f"{command}\nended with {error.returncode}; {python} may be a path.\n")
            right = False
        sys.stdout.write(f"{python}: {'every module is imported' if right else 'FAILED'}\n")
        failed += [] if right else [python]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
