"""A foreign package with the name of one of ours is recognised."""

import subprocess
import sys
from pathlib import Path

import pytest

from scalelag.errors import UsageError
from scalelag.packages import check_packages

ROOT = Path(__file__).parents[2]


def test_our_own_packages_pass():
    check_packages()


@pytest.mark.parametrize("name", ["probes", "reports", "locustfiles", "serve_apps", "suites"])
@pytest.mark.parametrize(
    "command",
    [
        ["-m", "scalelag.cli", "--version"],
        ["-m", "scalelag.cli", "report", "runs/none"],
        ["-m", "locust", "-f", "{stepped}", "--list"],
    ],
)
def test_a_package_that_shadows_ours_is_named_before_anything_fails(tmp_path, name, command):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    stepped = str(ROOT / "locustfiles" / "stepped.py")

    done = subprocess.run(
        [sys.executable, *(word.format(stepped=stepped) for word in command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert f"the package {name} was found at {tmp_path / name}" in done.stderr
    assert "rename yours" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_called_as_we_are_is_named_before_a_load_process_begins(tmp_path, monkeypatch):
    (tmp_path / "scalelag.py").write_text("")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=r"the package scalelag was found at .*scalelag\.py"):
        check_packages(["", *sys.path])


def test_folders_of_data_that_are_called_as_our_packages_do_no_harm(tmp_path):
    for name in ("scalelag", "reports", "probes"):
        (tmp_path / name).mkdir()

    done = subprocess.run(
        [sys.executable, "-c", "from scalelag.packages import exit_if_shadowed as e; e()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
