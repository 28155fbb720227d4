"""`scalelag.users`, the one door for locustfiles."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scalelag import users

ROOT = Path(__file__).parents[2]
ENTRY_FILES = sorted(
    path for path in (ROOT / "locustfiles").glob("*.py") if path.name != "__init__.py"
)


def python(code: str) -> str:
    """Output of `code`, run in a process of its own: importing Locust patches the whole process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_can_be_imported_and_stands_where_the_door_says():
    out = python(
        "import locust\n"
        "from scalelag import users\n"
        "for name in users.__all__: print(name, getattr(users, name).__module__)\n"
    )

    assert dict(line.split() for line in out.splitlines()) == users._MODULES
    assert sorted(users._MODULES) == sorted(users.__all__)


def test_type_checkers_see_the_same_names():
    source = Path(users.__file__).read_text(encoding="utf-8")
    imported = re.findall(r"^    from (\S+) import (.+)$", source, re.MULTILINE)
    seen = {name: module for module, names in imported for name in names.split(", ")}
    seen.pop("HttpPlanUser, StepShape, attach", None)

    assert {name: seen[name] for name in users.__all__} == users._MODULES


@pytest.mark.parametrize("name", users.__all__)
def test_every_public_name_is_documented(name: str):
    text = (ROOT / "docs" / "users.md").read_text(encoding="utf-8")

    assert re.search(rf"\b{name}\b", text)


def test_a_name_that_is_not_public_is_refused():
    with pytest.raises(AttributeError, match=r"scalelag\.users.*Alarm"):
        _ = users.Alarm


def test_an_http_locustfile_imports_no_client_of_another_protocol():
    out = python(
        "import sys, locust\n"
        "from scalelag.users import ChatUser, HttpPlanUser, StepShape, attach\n"
        "print([name for name in ('grpc', 'websocket', 'google.protobuf') if name in sys.modules])"
    )

    assert out.strip() == "[]"


@pytest.mark.parametrize("path", ENTRY_FILES, ids=lambda path: path.name)
def test_entry_files_import_from_the_door_only(path: Path):
    imported = re.findall(r"^(?:from|import) (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert imported == ["scalelag.users"]
