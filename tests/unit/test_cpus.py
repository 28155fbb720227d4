"""`--cpus`: CPUs of a cluster that scalelag starts."""

from scalelag.cli.run.command import attempt_of, launched_options
from scalelag.cli.run.signature import DEFAULT_CPUS, RunArguments

HOST = "http://127.0.0.1:1"


def test_beside_a_cluster_that_is_there_it_is_said_to_change_nothing(capsys):
    attempt_of(RunArguments(host=HOST, cpus=8), {})
    said = capsys.readouterr().err
    attempt_of(RunArguments(host=HOST), {})

    assert "--cpus is for a cluster that scalelag starts" in said
    assert capsys.readouterr().err == ""


def test_the_default_is_no_option_that_was_given():
    assert attempt_of(RunArguments(app="sleeper"), {}).cpus == DEFAULT_CPUS
    assert launched_options(RunArguments()) == {}
    assert launched_options(RunArguments(cpus=DEFAULT_CPUS)) == {}
    assert launched_options(RunArguments(cpus=8)) == {"cpus": 8}
