"""TOML files with options: `scalelag.toml`, or `[tool.scalelag]` in pyproject.toml."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from scalelag.errors import UsageError

PROJECT_FILE = "pyproject.toml"
MIX_KEYS = ("request", "mix")
"""Keys that are no options: requests of a mix, and their weights by stage."""


def read_table(path: Path) -> dict[str, Any] | None:
    """Return the table of options in a file; None if a pyproject.toml has none. Raises UsageError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from error
    except RecursionError as error:
        raise UsageError(f"{path} is not TOML: it is nested too deep.") from error
    except ValueError as error:  # also no TOML, and no text
        raise UsageError(f"{path} is not TOML: {error}.") from error
    if path.name != PROJECT_FILE:
        return content
    tools = content.get("tool", {})
    if not isinstance(tools, dict):
        return None  # another program's fault
    table = cast("dict[str, Any]", tools).get("scalelag")
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: tool.scalelag must be a table.")
    return cast("dict[str, Any] | None", table)


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a question for the names of `known` that are like `name`; `otherwise` without any."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else otherwise
