"""Names that a run directory can have."""

import re

from scalelag.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def check_run_name(name: str) -> str:
    """Return `name` if a run directory can have it. Raises UsageError if it cannot."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'the name "{name}": use letters, digits, ".", "_" and "-", at most 80, and begin with a '
            "letter or digit"
        )
    return name
