"""Environments with another version of Ray: set up once, whole or not at all."""

import ast
import importlib.util
import os
import re
import stat
import sys
import threading
from pathlib import Path

import pytest

from scalelag.cluster import ray_environment
from scalelag.cluster.embedded import cluster_environment
from scalelag.cluster.ray_environment import RayChoice, python_with_ray, ray_choice
from scalelag.errors import InterruptedRunError, RetryAdvice, TargetError, UsageError

FAKE_UV = """#!/bin/sh
# uv as far as a set-up needs it: `venv .. FOLDER` makes one whose Python says $FAKE_RAY.
echo "$*" >> "$FAKE_LOG"
case "$1" in
venv)
  for folder; do :; done
  mkdir -p "$folder/bin"
  printf '#!/bin/sh\\nprintf "ray %s"\\n' "$FAKE_RAY" > "$folder/bin/python"
  chmod +x "$folder/bin/python" ;;
pip)
  for listed; do :; done
  cat "$listed" >> "$FAKE_LOG"
  if [ -n "$FAKE_FAILS" ]; then echo "No solution found: $FAKE_FAILS" >&2; exit 2; fi ;;
esac
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with a stand-in for uv on its path, and a cache folder of its own."""
    program(tmp_path / "bin" / "uv", FAKE_UV)
    return {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "FAKE_LOG": str(tmp_path / "log"),
        "FAKE_RAY": "2.44.1",
    }


def said(environ: dict[str, str]) -> list[str]:
    log = Path(environ["FAKE_LOG"])
    return log.read_text().splitlines() if log.exists() else []


def kept(environ: dict[str, str]) -> list[str]:
    """Names in the cache folder, without lock files."""
    folder = Path(environ["XDG_CACHE_HOME"]) / "scalelag" / "ray"
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_an_environment_has_ray_and_what_it_needs_and_nothing_else(environ):
    python = python_with_ray(RayChoice("2.44"), environ)

    assert python.is_file()
    assert python.is_relative_to(environ["XDG_CACHE_HOME"])
    assert said(environ)[2:] == ["ray[serve]==2.44.*", "protobuf<7"]


def test_the_requirements_of_the_application_come_beside_ray(environ, tmp_path):
    (tmp_path / "needs.txt").write_text("pillow==11.0\n# comment\n")

    choice = RayChoice("2.60.0", requirements=tmp_path / "needs.txt")

    python_with_ray(choice, environ | {"FAKE_RAY": "2.60.0"})

    assert said(environ)[2:] == ["ray[serve]==2.60.0", "pillow==11.0", "# comment"]


def test_an_environment_is_set_up_once(environ):
    first = python_with_ray(RayChoice("2.44"), environ)
    commands = said(environ)

    assert python_with_ray(RayChoice("2.44"), environ) == first
    assert said(environ) == commands


def test_other_requirements_are_another_environment(environ, tmp_path):
    (tmp_path / "needs.txt").write_text("pillow\n")

    plain = python_with_ray(RayChoice("2.44"), environ)
    other = python_with_ray(RayChoice("2.44", requirements=tmp_path / "needs.txt"), environ)

    assert plain != other


def test_a_version_that_cannot_be_had_is_told_with_the_command_that_failed(environ):
    with pytest.raises(TargetError) as raised:
        python_with_ray(RayChoice("2.44"), environ | {"FAKE_FAILS": "no ray==2.44"})

    assert raised.value.retry is RetryAdvice.NEVER
    assert re.search(
        r"`\S*/uv pip install .*` ended with exit code 2: No solution found: no ray==2\.44",
        str(raised.value),
    )
    assert "--ray-python 2.44=PATH" in str(raised.value)
    assert kept(environ) == []


def test_an_environment_with_another_ray_than_was_asked_for_is_not_kept(environ):
    with pytest.raises(TargetError, match=r"has Ray 2\.45\.0"):
        python_with_ray(RayChoice("2.44"), environ | {"FAKE_RAY": "2.45.0"})

    assert kept(environ) == []


def test_a_set_up_that_is_interrupted_leaves_nothing(environ, monkeypatch):
    def interrupted(*_: object) -> None:
        raise InterruptedRunError("interrupted (SIGINT)")

    monkeypatch.setattr(ray_environment, "_run", interrupted)

    with pytest.raises(InterruptedRunError):
        python_with_ray(RayChoice("2.44"), environ)

    assert kept(environ) == []


def test_what_a_killed_set_up_left_is_removed_by_the_next(environ):
    folder = python_with_ray(RayChoice("2.44"), environ).parents[1]
    left = folder.rename(folder.parent / f"making-{folder.name}-x1")

    python_with_ray(RayChoice("2.44"), environ)

    assert not left.exists()
    assert kept(environ) == [folder.name]


def test_two_at_once_set_up_one(environ):
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(python_with_ray(RayChoice("2.44"), environ)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(found) == 4
    assert len(set(found)) == 1
    assert sum(line.startswith("venv ") for line in said(environ)) == 1


def test_a_full_disk_is_said_before_anything_is_set_up(environ, monkeypatch):
    monkeypatch.setattr(ray_environment, "ROOM_BYTES", 10**18)

    with pytest.raises(TargetError, match="GB free"):
        python_with_ray(RayChoice("2.44"), environ)

    assert said(environ) == []


def test_a_cache_folder_that_cannot_be_written_is_said(environ, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(TargetError, match="XDG_CACHE_HOME"):
        python_with_ray(RayChoice("2.44"), environ | {"XDG_CACHE_HOME": str(tmp_path / "file")})


def test_without_uv_an_environment_is_made_by_venv_and_pip():
    making, listed = Path("/cache/making"), Path("/cache/making/requirements.txt")
    ours = (sys.version_info.major, sys.version_info.minor)

    commands = ray_environment._commands(making, listed, ours, None)

    assert commands[0] == [sys.executable, "-m", "venv", "/cache/making"]
    assert commands[1][:4] == ["/cache/making/bin/python", "-m", "pip", "install"]
    assert commands[1][-2:] == ["-r", "/cache/making/requirements.txt"]


@pytest.mark.parametrize(("uv", "asked"), [("/bin/uv", "3.9"), (None, "python3.9")])
def test_a_ray_too_old_for_this_python_gets_another(uv, asked):
    commands = ray_environment._commands(Path("/m"), Path("/m/r"), (3, 9), uv)

    assert asked in commands[0]


def test_a_python_that_was_named_is_used_as_it_is(environ, tmp_path):
    python = program(tmp_path / "own" / "python", "#!/bin/sh\nprintf 'ray 2.44.1'\n")
    choice = ray_choice("2.44", [f"2.44={python}"], None)
    assert choice is not None

    assert python_with_ray(choice, environ) == python
    assert said(environ) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [("printf 'ray 2.43.0'", r"has Ray 2\.43\.0"), ("echo No module >&2; exit 1", "No module")],
)
def test_a_python_with_another_ray_or_none_is_refused(environ, tmp_path, text, why):
    python = program(tmp_path / "own" / "python", f"#!/bin/sh\n{text}\n")

    with pytest.raises(UsageError, match=why):
        python_with_ray(RayChoice("2.44", python), environ)


@pytest.mark.parametrize(
    ("version", "pythons", "why"),
    [
        ("latest", [], "no version"),
        ("2", [], "no version"),
        ("2.44.1.2", [], "no version"),
        ("2.9.3", [], r"Ray 2\.10 and later"),
        ("2.44", ["2.44"], "VERSION=PATH"),
        ("2.44", ["2.44=/nowhere/python"], "no program"),
        ("2.44", [f"2.44={Path(__file__).parent}"], "no program"),
        (None, [f"2.44={sys.executable}"], "goes with --ray"),
    ],
)
def test_wrong_options_are_told_before_anything_starts(version, pythons, why):
    with pytest.raises(UsageError, match=why):
        ray_choice(version, pythons, None)


def test_requirements_that_are_no_file_are_told(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        ray_choice("2.44", [], tmp_path / "none.txt")


def test_the_cluster_of_another_python_sees_our_packages_and_none_of_our_environment(tmp_path):
    python = tmp_path / "env" / "bin" / "python"

    environment = cluster_environment({"PATH": "/usr/bin"}, "t0ken", python, tmp_path / "packages")

    paths = environment["PYTHONPATH"].split(os.pathsep)
    assert paths == [str(Path.cwd()), str(tmp_path / "packages")]
    assert environment["PATH"] == f"{python.parent}{os.pathsep}/usr/bin"
    assert environment["RAY_AUTH_TOKEN"] == "t0ken"


def test_a_cluster_without_a_token_gets_none_from_our_environment():
    environment = cluster_environment({"RAY_AUTH_TOKEN": "ours", "RAY_AUTH_TOKEN_PATH": "/x"}, None)

    assert environment["RAY_AUTH_MODE"] == "disabled"
    assert not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & environment.keys()


def test_the_cluster_needs_nothing_that_an_environment_with_ray_alone_lacks():
    """A Python with another Ray sees `scalelag`, and none of the packages beside it."""
    left, seen, foreign = ["scalelag.cluster.embedded_main"], set(), set()
    while left:
        name = left.pop()
        seen.add(name)
        source = Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                top = module.partition(".")[0]
                if top == "scalelag" and module not in seen:
                    left.append(module)
                elif top not in {"scalelag", "ray", *sys.stdlib_module_names}:
                    foreign.add(f"{name}: {module}")

    assert foreign == set()
    assert "scalelag.cluster.ports" in seen
