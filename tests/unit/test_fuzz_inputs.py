"""Whatever a file or an option holds, a command ends with one of its exit codes, and no traceback.

`SCALELAG_FUZZ_S=600` (`make fuzz`) goes on for that long with seeds of its own; `make test` takes the
same few cases each time.
"""

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scalelag.cli.main import app
from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.retries import AttemptResult
from scalelag.options.catalog import OPTIONS

STORED = Path(__file__).parents[1] / "golden" / "stored"
CODES = {0, 1, 2, 3, 4, 5, 130}
BUDGET_S = float(os.environ.get("SCALELAG_FUZZ_S", "0"))
ODD = (
    *(
        "",
        " ",
        "-",
        "--",
        "\n",
        "a\r\nb: c",
        "\t",
        "ä€😀",
        "\u202e",
        "{{",
        "{{ 1 / 0 }}",
        "{% for %}",
    ),
    *("0", "-1", "1e400", "nan", "inf", "9" * 400, "1_000", "0x10", "true", "null", "[]", "{}"),
    *(
        "[" * 5000,
        '{"a":' * 3000,
        "../..",
        "/",
        "/dev/null",
        "/nowhere/x",
        "a" * 5000,
        "a:b",
        ":",
        "@",
    ),
    *("http://", "http://[", "http://u:p@h:1/", "ftp://h", "http://h:99999", "http://h:0", "//h"),
    *(
        "10rps:1s",
        "1..rps:1s",
        "10rps",
        "rps:",
        ",,,",
        "10rps:1s,1users:1s",
        "1e9rps:9h",
        "p95<1ms",
    ),
    *(
        "scale_up.total_s.max <= 1",
        "x <= 1",
        "a b:scale_up.total_s.max <= 1e9",
        "${HOME}",
        "${",
        "%",
    ),
    *("Name: value", "Name:", ": v", "Cookie: x", "X: ${NOT_THERE}", "/a b", "a,b", "x.y/z", "h:1"),
)
CONTENT = (
    *(b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"a,b\n1", b"a\n", b"\n\n", b"{}", b"[]", b"null"),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"a = [" * 2000, b"- " * 5000, b"{a: " * 2000, b"a: b: c"),
    *(b"tool = 3", b"[tool]\nscalelag = 3", b'steps = "\\u0000"', b"[tool.scalelag]\nsteps = 3"),
    *(
        b'out = "a\\u0000b"',
        b"gate = 3",
        b"x = 1",
        b"locustfile = [3]",
        b"&a [*a]",
        b"!!python/x y",
    ),
    *(
        b"time_s,rps\n0,1\n0,1\n",
        b"arrival_s\n1e999\n",
        b"arrival_s\n2\n1\n",
        b'a\n"',
        b"class (:\n",
    ),
    *(
        b"applications: 3",
        b"applications: [3]",
        b"applications: [{import_path: 3}]",
        b"x" * 200_000,
    ),
)
FILES = {
    "--config": ("c.toml", "pyproject.toml"),
    "--data": ("d.csv", "d.jsonl", "d.txt"),
    "--body-file": ("body",),
    "--trace": ("t.csv",),
    "--app": ("a.yaml",),
    "--locustfile": ("l.py",),
    "--workers-runtime-env": ("e.json",),
    "--dashboard-ca": ("ca.pem",),
}


def invoke(*arguments):
    """Run a command; anything but an exit code of ours is an error with its traceback."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(arguments) from result.exception
    assert result.exit_code in CODES, (arguments, result.output)
    assert "Traceback" not in result.output
    return result.exit_code


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own to run in; runs end where they would start a cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Attempt, "run", lambda *_: AttemptResult(0, None))
    monkeypatch.setattr("scalelag.cli.run.command.run_calibration", lambda *_: 0)
    return tmp_path


def rounds(least):
    """Seeds: the first few, or new ones until the budget is spent."""
    yield from range(least)
    until_s, seed = time.monotonic() + BUDGET_S / 4, random.randrange(2**40)
    while time.monotonic() < until_s:
        seed += 1
        yield seed


def odd(draw):
    text = draw.choice(ODD)
    if draw.random() < 0.3:
        text += draw.choice(ODD)
    return text.replace("\0", "")


def test_any_value_of_any_option(here):
    known = [option for option in OPTIONS if option.type != "flag"]
    own = ("--app", "--app-arg", "--host", "--runs", "--retries", "--master-host", "--locust", "-f")
    for seed in rounds(150):
        draw = random.Random(seed)
        flags = [draw.choice([*(option.flag for option in known), *own]) for _ in range(2)]
        arguments = [f"{flag}={odd(draw)}" for flag in flags if flag != "-f"]
        invoke("run", *arguments)


def test_any_content_of_any_file_with_options(here):
    for seed in rounds(120):
        draw = random.Random(seed)
        flag = draw.choice(list(FILES))
        name = draw.choice(FILES[flag])
        content = draw.choice(CONTENT)
        if draw.random() < 0.3:
            content += draw.choice(CONTENT)
        (here / name).write_bytes(content)
        extra = ["--json-body", '{"a": {{ a }}}'] if flag == "--data" else []
        invoke("run", flag, name, *extra)
        (here / name).unlink()


def damaged(draw, content):
    if draw.random() < 0.2:
        return content[: draw.randrange(len(content) + 1)]
    if draw.random() < 0.1:
        return draw.choice(CONTENT)
    found = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 5, 50])):
        if found:
            found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def changed_json(draw, content):
    """The JSON with one value somewhere in it replaced by another kind of value."""
    whole = json.loads(content)
    at = whole
    while isinstance(at, dict | list) and at:
        key = draw.choice(list(at)) if isinstance(at, dict) else draw.randrange(len(at))
        if draw.random() < 0.4 or not isinstance(at[key], dict | list) or not at[key]:
            at[key] = draw.choice([None, -1, 1e300, "x", "", [], {}, True, 2**70, [[[]]]])
            break
        at = at[key]
    return json.dumps(whole).encode()


def test_any_damage_to_a_record(here):
    stored = STORED / "node-started"
    shutil.copytree(stored, here / "runs" / "good")
    invoke("report", "runs/good", "--format", "json", "--output", "runs/good/report.json")
    for seed in rounds(25):
        draw = random.Random(seed)
        bad = here / "runs" / "bad"
        shutil.copytree(here / "runs" / "good", bad)
        file = draw.choice(sorted(path for path in bad.iterdir()))
        content = file.read_bytes()
        is_json = file.suffix == ".json" and draw.random() < 0.6
        file.write_bytes(changed_json(draw, content) if is_json else damaged(draw, content))
        form = draw.choice(["terminal", "json", "md", "junit", "csv"])
        invoke("report", "runs/bad", "--format", form)
        invoke("export", "runs/bad", "--parquet", "out.parquet")
        assert invoke("runs", "runs") == 0
        assert invoke("trend", "load.latency_p99_ms", "runs", "--json") == 0
        shutil.rmtree(bad)


@pytest.mark.parametrize(
    "content", [b"\xff", b'{"a": "\xff"}', b"[" * 100_000, b'{"schema_version": 1}', b""]
)
def test_one_bad_report_leaves_the_others_in_the_list(here, content):
    for name in ("a", "b"):
        shutil.copytree(STORED / "node-started", here / "runs" / name)
        invoke("report", f"runs/{name}", "--format", "json", "--output", f"runs/{name}/report.json")
    (here / "runs" / "a" / "report.json").write_bytes(content)

    listed = CliRunner().invoke(app, ["runs", "runs", "--json"])

    found = json.loads(listed.stdout)
    assert "cannot be read" in found["a"]["reason"]
    assert found["b"]["verdict"]


@pytest.mark.parametrize("output", ["missing/out.md", ".", "x/../missing/y", "file/out"])
@pytest.mark.parametrize("form", ["md", "json", "html"])
def test_an_output_that_cannot_be_written_is_one_line(here, output, form):
    (here / "file").touch()

    code = invoke("report", str(STORED / "node-started"), "--format", form, "--output", output)

    assert code == 1
    assert not list(here.glob("*.tmp"))
    assert invoke("export", str(STORED / "node-started"), "--parquet", output) in (1, 2)
