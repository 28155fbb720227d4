"""Modules that import Locust, without its monkey-patching of the process that runs the tests."""

from importlib import import_module
from types import ModuleType

import pytest


def import_unpatched(name: str) -> ModuleType:
    """Import a module; what others have imported already stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
        return import_module(name)
