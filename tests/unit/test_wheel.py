"""The wheel holds every package, template and data file, and nothing else of the repository."""

import configparser
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("scalelag", "locustfiles", "probes", "reports", "serve_apps", "suites")


def repository_files() -> list[str]:
    """Paths of what is tracked, or new and not ignored; a tracked file that is gone is left out."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that the build leaves nothing in the repository."""
    copy = tmp_path_factory.mktemp("tree")
    for name in repository_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Contents by path inside the wheel."""
    out = tmp_path_factory.mktemp("wheel")
    build = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)],
        cwd=tree,
        check=False,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def dist_info(wheel: dict[str, bytes], name: str) -> bytes:
    (path,) = (path for path in wheel if PurePosixPath(path).match(f"*.dist-info/{name}"))
    return wheel[path]


def test_it_holds_every_file_of_every_package(tree: Path, wheel: dict[str, bytes]):
    expected = {
        path.relative_to(tree).as_posix()
        for package in PACKAGES
        for path in (tree / package).rglob("*")
        if path.is_file()
    }

    packed = {name for name in wheel if ".dist-info/" not in name}

    assert {name.split("/")[0] for name in expected} == set(PACKAGES)
    assert packed == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed(package: str, wheel: dict[str, bytes]):
    assert f"{package}/py.typed" in wheel


def test_the_built_in_apps_come_with_their_configurations(wheel: dict[str, bytes]):
    assert any(PurePosixPath(name).match("serve_apps/*.yaml") for name in wheel)


def test_it_installs_the_command(wheel: dict[str, bytes]):
    entry_points = configparser.ConfigParser()
    entry_points.read_string(dist_info(wheel, "entry_points.txt").decode())

    assert dict(entry_points["console_scripts"]) == {"scalelag": "scalelag.cli.__main__:main"}


def test_it_holds_the_licence(tree: Path, wheel: dict[str, bytes]):
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert dist_info(wheel, "licenses/LICENSE") == (tree / "LICENSE").read_bytes()
    assert f"License-Expression: {project['license']}" in dist_info(wheel, "METADATA").decode()
