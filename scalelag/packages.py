"""Whether each of our packages at the root, whose names are common words, is ours."""

import importlib.util
import sys
from pathlib import Path

from scalelag.errors import EXIT_USAGE, UsageError

_NAMES = ("probes", "reports", "locustfiles", "serve_apps")


def check_packages() -> None:
    """Raise UsageError where a package of another project would be imported for one of ours.

    It imports none of them, so that it can be asked before the first import that would fail.
    """
    home = Path(__file__).resolve().parents[1]
    for name in _NAMES:
        spec = importlib.util.find_spec(name)
        file = spec.origin if spec else None
        if file is None or Path(file).resolve().parents[1] != home:
            found = f"was found at {file}" if file else "was not found"
            raise UsageError(
                f"the package {name} {found}, which is not scalelag's ({home / name}): rename yours, "
                "or take its folder out of PYTHONPATH and of the current folder"
            )


def exit_if_shadowed() -> None:
    """Say it and end with exit code 2: for entry points, whose imports would fail less clearly."""
    try:
        check_packages()
    except UsageError as error:
        sys.stderr.write(f"scalelag: {error}\n")
        sys.exit(EXIT_USAGE)
