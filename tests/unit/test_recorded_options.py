"""Options of `scalelag run` alone as a record keeps them."""

from scalelag.cli.run.command import launched_options
from scalelag.cli.run.signature import RunArguments


def test_options_of_the_command_alone_are_kept_if_they_are_not_the_defaults():
    arguments = RunArguments(app="mine:app", app_arg=("n=2", "hf_token=s3cret"), processes=2)

    assert launched_options(arguments) == {
        "app": "mine:app",
        "app_arg": ["n=2", "hf_token=(not recorded)"],
        "processes": 2,
    }
    assert launched_options(RunArguments()) == {}
