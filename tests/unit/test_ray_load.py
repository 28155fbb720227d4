"""Options for load workers on Ray, and combinations that are refused."""

import pytest

from scalelag.cli.run.ray_load import Placement, placement_of
from scalelag.errors import UsageError


@pytest.fixture
def env_file(tmp_path):
    path = tmp_path / "env.json"
    path.write_text('{"pip": ["scalelag"], "env_vars": {"A": "1"}}')
    return path


def test_without_the_option_nothing_is_placed():
    assert placement_of(None, 4, None, None) is None


def test_the_options_say_how_many_where_the_leader_is_and_what_the_workers_need(env_file):
    assert placement_of(3, 1, None, None) == Placement(3)
    assert placement_of(3, 1, "10.0.0.7:5557", env_file) == Placement(
        3, "10.0.0.7:5557", {"pip": ["scalelag"], "env_vars": {"A": "1"}}
    )


def test_options_that_need_the_other_are_refused_without_it(env_file):
    for host, path in (("10.0.0.7", None), (None, env_file)):
        with pytest.raises(UsageError, match="go with --workers-on-ray"):
            placement_of(None, 1, host, path)


def test_processes_here_and_on_ray_are_not_both():
    with pytest.raises(UsageError, match="give one of the two"):
        placement_of(2, 2, None, None)


@pytest.mark.parametrize("text", ["[1]", '"a"', "{", ""])
def test_a_file_that_holds_no_json_object_is_refused(env_file, text):
    env_file.write_text(text)

    with pytest.raises(UsageError, match=r"env\.json holds no JSON object"):
        placement_of(2, 1, None, env_file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.json: No such file"):
        placement_of(2, 1, None, tmp_path / "nothing.json")
