"""Python environments with another version of Ray, for the embedded cluster.

Each holds Ray and the application's requirements only. They stay in the user's cache folder.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from scalelag.console import say
from scalelag.errors import RetryAdvice, TargetError, UsageError
from scalelag.ray_versions import (
    OLDEST,
    Version,
    named,
    needs_old_protobuf,
    newest_python,
    version_of,
)

ROOM_BYTES: Final = 1_000_000_000
"""Free bytes that a set-up wants: an environment has up to 450 MB, and its packages come beside it."""

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_MAKING = "making-"
_OURS = ("PYTHONPATH", "PYTHONHOME")
"""Variables of this Python that must not rule another one."""
_SAID = "import ray, ray.serve, sys; sys.stdout.write('ray ' + ray.__version__)"
_MOST_SAID = 1500


class RayChoice(msgspec.Struct, frozen=True):
    """Version of Ray that the embedded cluster shall run, such as `2.44` or `2.44.1`.

    `python` is one that has it. Without, an environment is made with it and with `requirements`, a
    requirements file of pip.
    """

    version: str
    python: Path | None = None
    requirements: Path | None = None


def ray_choice(
    version: str | None, pythons: Sequence[str], requirements: Path | None
) -> RayChoice | None:
    """Return the choice that options make, None if there is none. Raises UsageError.

    `pythons` are texts `VERSION=PATH`.
    """
    known = dict(map(_python, pythons))
    if version is None:
        if known or requirements is not None:
            flag = "--ray-python" if known else "--app-requirements"
            raise UsageError(f"{flag} goes with --ray VERSION.")
        return None
    if not _VERSION.fullmatch(version):
        raise UsageError(f'--ray "{version}" is no version, such as 2.44 or 2.44.1.')
    found = version_of(version)
    if found is None or found < OLDEST:
        raise UsageError(f"--ray {version}: {named(OLDEST)} and later are supported.")
    if requirements is not None and not requirements.is_file():
        raise UsageError(f"--app-requirements {requirements}: there is no such file.")
    return RayChoice(version, known.get(version), requirements)


def _python(text: str) -> tuple[str, Path]:
    version, equals, path = text.partition("=")
    if not equals or not _VERSION.fullmatch(version):
        raise UsageError(f'--ray-python "{text}" is not of the form VERSION=PATH.')
    # Not resolved: the Python of an environment is a link, and knows its packages by where that lies.
    python = Path(path).expanduser().absolute()
    if not os.access(python, os.X_OK) or not python.is_file():
        raise UsageError(f"--ray-python {text}: {path} is no program. Name the Python itself.")
    return version, python


def python_with_ray(choice: RayChoice, environ: Mapping[str, str]) -> Path:
    """Return a Python that has the Ray of `choice`, set up first if need be.

    Raises TargetError with the command that failed, and UsageError if the Python that was named has
    another Ray.
    """
    if choice.python is not None:
        unlike = _unlike(choice.python, choice.version)
        if unlike is not None:
            raise UsageError(f"--ray-python {choice.version}={choice.python}: {unlike}.")
        return choice.python
    cache = _cache_folder(environ)
    requirements = _requirements(choice)
    folder = cache / _folder_name(choice.version, requirements)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{folder.name}.lock"):
            if not folder.is_dir():
                _set_up(folder, choice, requirements, environ)
    except OSError as error:
        raise TargetError(
            f"Ray {choice.version} cannot be set up in {cache}: {error}. XDG_CACHE_HOME names another "
            "folder.",
            retry=RetryAdvice.NEVER,
        ) from error
    return folder / "bin" / "python"


def _cache_folder(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored (XDG Base Directory Specification).
    cache = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return cache / "scalelag" / "ray"


def _requirements(choice: RayChoice) -> list[str]:
    """Requirement lines of an environment, Ray's first."""
    exact = choice.version if choice.version.count(".") == 2 else f"{choice.version}.*"
    lines = [f"ray[serve]=={exact}"]
    if needs_old_protobuf(choice.version):
        lines.append("protobuf<7")
    if choice.requirements is not None:
        lines += choice.requirements.read_text(encoding="utf-8").splitlines()
    return lines


def _folder_name(version: str, requirements: Sequence[str]) -> str:
    text = "\n".join(requirements)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    major, minor = _python_for(version)
    return f"ray-{version}-py{major}.{minor}-{digest}"


def _python_for(version: str) -> Version:
    """Version of Python for a version of Ray: this one, or the newest that has packages."""
    return min((sys.version_info.major, sys.version_info.minor), newest_python(version))


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold the lock file `path`: another command may be setting up the same environment."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command sets up this version of Ray: waiting for it ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _set_up(
    folder: Path, choice: RayChoice, requirements: Sequence[str], environ: Mapping[str, str]
) -> None:
    """Make `folder` whole or not at all; its lock is held."""
    for left in folder.parent.glob(f"{_MAKING}{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)  # of a command that was killed
    _check_room(folder.parent)
    say(f"setting up Ray {choice.version} in {folder} (once) ...")
    making = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{folder.name}-", dir=folder.parent))
    try:
        _fill(making, choice, requirements, environ)
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise


def _fill(
    making: Path, choice: RayChoice, requirements: Sequence[str], environ: Mapping[str, str]
) -> None:
    listed = making / "requirements.txt"
    listed.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    for command in _commands(making, listed, _python_for(choice.version), _uv(environ)):
        _run(command, choice, environ)
    unlike = _unlike(making / "bin" / "python", choice.version)
    if unlike is not None:
        raise TargetError(
            f"Ray {choice.version} was set up, and {unlike}. {_other_python(choice)}",
            retry=RetryAdvice.NEVER,
        )


def _check_room(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < ROOM_BYTES:
        raise TargetError(
            f"{cache} has {free / 1e9:.1f} GB free, and another version of Ray wants "
            f"{ROOM_BYTES / 1e9:g} GB. Make room, or name another folder with XDG_CACHE_HOME.",
            retry=RetryAdvice.NEVER,
        )


def _commands(making: Path, listed: Path, version: Version, uv: str | None) -> list[list[str]]:
    """Commands that make the environment: of uv, or of this Python where uv is missing."""
    python = str(making / "bin" / "python")
    major, minor = version
    is_ours = version == (sys.version_info.major, sys.version_info.minor)
    if uv is not None:
        base = sys.executable if is_ours else f"{major}.{minor}"
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode"]
        return [
            [uv, "venv", "--quiet", "--allow-existing", "--python", base, str(making)],
            [*install, "--python", python, "-r", str(listed)],
        ]
    base = sys.executable if is_ours else f"python{major}.{minor}"
    return [
        [base, "-m", venv.__name__, str(making)],
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(listed)],
    ]


def _uv(environ: Mapping[str, str]) -> str | None:
    """The program uv, on the path or beside this Python; None if it is missing."""
    found = shutil.which("uv", path=environ.get("PATH", ""))
    return found or shutil.which("uv", path=str(Path(sys.executable).parent))


def _run(command: Sequence[str], choice: RayChoice, environ: Mapping[str, str]) -> None:
    """Run a command of a set-up. Raises TargetError with the command and its last words."""
    kept = {k: v for k, v in environ.items() if k not in _OURS}
    try:
        done = subprocess.run(
            command, env=kept, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        said, how = done.stdout + done.stderr, f"ended with exit code {done.returncode}"
        if done.returncode == 0:
            return
    except OSError as error:
        said, how = str(error).encode(), "could not be started"
    text = said.decode(errors="replace").strip()
    raise TargetError(
        f"Ray {choice.version} cannot be set up: `{' '.join(command)}` {how}: "
        f"{text[-_MOST_SAID:] or 'it said nothing'}\n{_other_python(choice)}",
        retry=RetryAdvice.NEVER,
    )


def _other_python(choice: RayChoice) -> str:
    return f"Name a Python that has it with --ray-python {choice.version}=PATH."


def _unlike(python: Path, version: str) -> str | None:
    """Return in words why `python` does not have Ray `version`; None if it has it."""
    command = [str(python), "-c", _SAID]
    found = subprocess.run(
        command,
        env={k: v for k, v in os.environ.items() if k not in _OURS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    has = found.stdout.rpartition("ray ")[2].strip()
    if has == version or has.startswith(f"{version}."):
        return None
    if has:
        return f"{python} has Ray {has}"
    last = "".join(found.stderr.strip().splitlines()[-1:])
    return f"{python} cannot import ray.serve: {last or 'it said nothing'}"
