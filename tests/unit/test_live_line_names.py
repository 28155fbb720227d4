"""Names of deployments in the live line, and of those with slashes wherever a name is cut."""

import pytest

from reports.model.application import ApplicationNode
from reports.render.tables.applications import short_name
from tests.support.unpatched import import_unpatched

short_names = import_unpatched("scalelag.plugin.leader.live_line").short_names


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (["a/Model", "a/Front"], ["Model", "Front"]),
        (["a/Model", "b/Model", "b/Front"], ["a/Model", "b/Model", "Front"]),
        (["a/LLM/v1", "a/Embed/v1"], ["a/LLM/v1", "a/Embed/v1"]),
        (["a/LLM/v1", "b/v1"], ["a/LLM/v1", "v1"]),
        (['a/x: "y".z'], ['x: "y".z']),
    ],
)
def test_two_deployments_never_have_one_name_in_the_live_line(keys, shown):
    assert [short_names(keys)[key] for key in keys] == shown


@pytest.mark.parametrize(
    ("key", "application", "shown"),
    [
        ("app/Model", "app", "Model"),
        ("a/b/LLM/v1", "a/b", "LLM/v1"),
        ("other/Model", "app", "other/Model"),
    ],
)
def test_an_application_shows_names_without_its_own(key, application, shown):
    assert short_name(ApplicationNode(key).deployment, application) == shown
