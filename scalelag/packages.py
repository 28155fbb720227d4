"""Check that `reports`, `probes` and others are scalelag's, not a project's with the same name."""

import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from scalelag.errors import EXIT_USAGE, UsageError

_NAMES = ("scalelag", "probes", "reports", "locustfiles", "serve_apps", "suites")


def check_packages(path: Sequence[str] | None = None) -> None:
    """Raise UsageError if a package of another project would be imported instead of ours.

    It imports none of them, so that it can run before the first import that would fail. `path` is
    searched in place of `sys.path`: that of a process to be started.
    """
    home = Path(__file__).resolve().parents[1]
    for name in _NAMES:
        spec = PathFinder.find_spec(name, path)
        file = spec.origin if spec else None
        if file is None or Path(file).resolve().parents[1] != home:
            found = f"was found at {file}" if file else "was not found on the path of Python"
            raise UsageError(
                f"the package {name} {found}; scalelag's is at {home / name}: rename yours, "
                "or take its folder out of PYTHONPATH and of the current folder"
            )


def exit_if_shadowed() -> None:
    """Exit with code 2 and the reason. For entry points, whose imports would fail less clearly."""
    try:
        check_packages()
    except UsageError as error:
        sys.stderr.write(f"scalelag: {error}\n")
        sys.exit(EXIT_USAGE)
