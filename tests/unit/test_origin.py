"""The command that makes a run again: every option in effect, and no secret."""

import shlex
from pathlib import Path

import msgspec

from reports.analysis.origin import run_origin
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
    words = shlex.split(run_origin(info("demo")).command or "")

    assert not {"--host", "--dashboard"} & set(words)


def test_no_secret_stands_in_it():
    words = command(
        header=["Authorization: Bearer abc", "X-Trace: 1"],
        dashboard="http://me:word@cluster:8265/a",
    )

    assert words[words.index("--dashboard") + 1] == "http://cluster:8265/a"
    headers = [words[i + 1] for i, word in enumerate(words) if word == "--header"]
    assert headers == ["Authorization: <secret>", "X-Trace: 1"]


def test_what_is_not_recorded_is_none():
    origin = run_origin(msgspec.structs.replace(info(), options={}))

    assert (origin.command, origin.path, origin.locustfile, origin.user_classes) == (
        None,
        None,
        None,
        (),
    )
