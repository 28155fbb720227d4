"""The command that makes a run again: every option in effect, and no secret."""

import shlex
from pathlib import Path

import msgspec
import pytest
from typer.main import get_command

from reports.analysis.origin import run_origin
from scalelag.cli.main import app
from scalelag.options.catalog import OPTIONS
from scalelag.record.run_dir import load_run

STORED = Path(__file__).parents[1] / "golden" / "stored"


def info(name: str = "node-started", **options: object):
    recorded = load_run(STORED / name).info
    return msgspec.structs.replace(recorded, options={**recorded.options, **options})


def command(**options: object) -> list[str]:
    return shlex.split(run_origin(info(**options)).command or "")


def test_the_command_has_the_options_that_were_in_effect():
    words = command(gate=["a <= 1", "b <= 2"], strict=True)

    assert words[:4] == ["scalelag", "run", "--host", "http://127.0.0.1:60875"]
    assert words[words.index("--steps") + 1] == "4rps:3s,25rps:12s"
    assert words[words.index("--request-timeout") + 1] == "30"
    assert [words[i + 1] for i, word in enumerate(words) if word == "--gate"] == [
        "a <= 1",
        "b <= 2",
    ]
    assert "--strict" in words
    assert not {"--insecure", "--models", "--json-body"} & set(words)


def test_a_run_on_an_embedded_cluster_names_no_address():
    recorded = info("demo", grpc_host="127.0.0.1:9000")
    words = shlex.split(run_origin(recorded).command or "")

    assert not {"--host", "--dashboard", "--grpc-host"} & set(words)


def test_no_secret_stands_in_it():
    words = command(
        header=["Authorization: Bearer abc", "X-Trace: 1"],
        dashboard="http://me:word@cluster:8265/a",
    )

    assert words[words.index("--dashboard") + 1] == "http://cluster:8265/a"
    headers = [words[i + 1] for i, word in enumerate(words) if word == "--header"]
    assert headers == ["Authorization: <secret>", "X-Trace: 1"]


def test_the_locustfiles_are_named_but_for_those_that_the_command_adds_itself():
    own = msgspec.structs.replace(
        info(), locustfiles=("locustfiles/attached.py", "my file.py"), user_classes=("Mine",)
    )
    default = msgspec.structs.replace(info(), locustfiles=("locustfiles/stepped.py",))

    words = shlex.split(run_origin(own).command or "")
    assert words[words.index("--locustfile") + 1] == "my file.py"
    assert (run_origin(own).locustfile, run_origin(own).user_classes) == ("my file.py", ("Mine",))
    assert "--locustfile" not in (run_origin(default).command or "")
    assert run_origin(default).locustfile == "locustfiles/stepped.py"


def test_the_application_and_the_load_processes_are_those_of_the_run():
    launched = {"app": "mine:app", "app_arg": ["replicas=2"], "processes": 3}
    own = msgspec.structs.replace(info("demo"), launched=launched, workers=3)
    by_locust = msgspec.structs.replace(info("demo"), workers=4)

    words = shlex.split(run_origin(own).command or "")
    assert words[2:8] == ["--app", "mine:app", "--app-arg", "replicas=2", "--processes", "3"]
    words = shlex.split(run_origin(by_locust).command or "")
    assert words[words.index("--processes") + 1] == "4"
    assert "--processes" not in (run_origin(info("demo")).command or "")


VALUES = {
    "int": 3,
    "float": 2.5,
    "flag": True,
    "list": ["one", "two"],
    "choice": "constant",
    "text": "-text",
}


@pytest.mark.parametrize("locustfile", ["mine.py", "-odd.py"])
def test_scalelag_run_takes_the_command_with_every_option_that_is_recorded(locustfile):
    given = {option.dest: VALUES[option.type] for option in OPTIONS}
    recorded = msgspec.structs.replace(info(), options=given, locustfiles=(locustfile,))
    words = shlex.split(run_origin(recorded).command or "")
    command = get_command(app)
    run = command.commands["run"]  # pyright: ignore[reportAttributeAccessIssue]

    with run.make_context("run", words[2:]) as context:
        taken = context.params

    assert words[:2] == ["scalelag", "run"]
    assert {name: taken[name] for name in given} == given
    assert [str(path) for path in taken["locustfile"]] == [locustfile]
    assert taken["host"] == "http://127.0.0.1:60875"


def test_what_is_not_recorded_is_none():
    origin = run_origin(msgspec.structs.replace(info(), options={}))

    assert (origin.command, origin.path, origin.locustfile, origin.user_classes) == (
        None,
        None,
        None,
        (),
    )
