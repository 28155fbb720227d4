"""An autoscaling policy of the user's own, imported by its path."""

import importlib
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from scalelag.errors import ScalelagError, UsageError

_LONG = 200
_brought: dict[str, tuple[str, ...]] = {}
"""Names of the user's modules that came with each module of policies, itself among them."""


class UserPolicy(msgspec.Struct, frozen=True):
    """A policy function, or a class of policies; `of_application` if it decides for all deployments.

    `modules` are its own, and those of the user's that it imports. Pickled and unpickled in the same
    process, it is its function: the one imported, not a copy.
    """

    path: str
    module: ModuleType
    function: Callable[..., Any]
    of_application: bool = False
    modules: tuple[ModuleType, ...] = ()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        module, _, name = self.path.partition(":")
        return _imported, (module, name)


def _imported(module: str, name: str) -> Callable[..., Any]:
    return getattr(sys.modules[module], name)


def load_policy(path: str, *, of_application: bool = False, fresh: bool = False) -> UserPolicy:
    """Import a policy given as `module:function`; the current folder is on the path.

    `fresh` imports it again, with all modules of the user's that it imports, so that none of them keeps
    its state. Raises UsageError if there is no such function.
    """
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name:
        raise UsageError(
            f"--policy {path}: give module:function, such as my_policies:by_queue_length."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with told_of(path):
        module = _module(module_name, fresh=fresh)
    function = getattr(module, name, None)
    if not callable(function):
        has = ", ".join(sorted(n for n, v in vars(module).items() if _is_own(v, module_name)))
        raise UsageError(
            f"--policy {path}: {module_name} has no function of that name; it has {has or 'none'}."
        )
    others = (sys.modules[one] for one in _brought.get(module_name, ()) if one != module_name)
    return UserPolicy(path, module, function, of_application, (module, *others))


def _module(name: str, *, fresh: bool) -> ModuleType:
    if fresh:
        for one in _brought.get(name, ()):
            sys.modules.pop(one, None)
    before = set(sys.modules)
    module = importlib.import_module(name)
    if name not in before:
        came = sys.modules.keys() - before
        _brought[name] = tuple(one for one in sorted(came) if _is_users(sys.modules[one]))
    return module


def _is_users(module: ModuleType) -> bool:
    """Return True for a module of the current folder that is not installed there."""
    file = Path(getattr(module, "__file__", None) or "/")
    return file.is_relative_to(Path.cwd()) and "site-packages" not in file.parts


@contextmanager
def told_of(path: str) -> Generator[None]:
    """Raise UsageError in place of whatever code of the policy raises, but for an interrupt.

    What it prints goes to standard error, so that it is not in an answer.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (KeyboardInterrupt, ScalelagError):
        raise
    except BaseException as error:  # also GeneratorExit, asyncio.CancelledError, SystemExit
        said = " ".join(str(error).split())[:_LONG] or "no message"
        raise UsageError(f"--policy {path}: {type(error).__name__}: {said}.") from error


def _is_own(value: object, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module
