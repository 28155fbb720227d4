"""Applications that are named by an import path, looked for before a cluster starts."""

import sys
from importlib.machinery import ModuleSpec, PathFinder

import pytest

from scalelag.cluster.apps import resolve_app
from scalelag.errors import UsageError


class EditableFinder:
    """Finder as an editable install has it: of packages in a folder that is not on the path."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, name: str, path=None, _target=None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(self.folder)]) if path is None else None


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A package `theirs_elsewhere` with a module `app`, in a folder that only a finder knows."""
    package = tmp_path / "sources" / "theirs_elsewhere"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "app.py").touch()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, EditableFinder(package.parent)])
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_a_package_of_an_editable_install_is_found_from_any_folder(elsewhere):
    (app,) = resolve_app("theirs_elsewhere.app:app", [], folder=elsewhere, importable_here=True)

    assert app["import_path"] == "theirs_elsewhere.app:app"


@pytest.mark.parametrize("module", ["theirs_elsewhere.other", "theirs_elsewhere.app.deeper", "no"])
def test_a_module_that_is_not_there_is_named(elsewhere, module):
    with pytest.raises(UsageError, match=f"there is no module {module} in"):
        resolve_app(f"{module}:app", [], folder=elsewhere, importable_here=True)


def test_a_module_in_the_folder_is_found_first(elsewhere):
    (elsewhere / "theirs_elsewhere.py").touch()

    (app,) = resolve_app("theirs_elsewhere:app", [], folder=elsewhere, importable_here=True)

    assert app["name"] == "default"
