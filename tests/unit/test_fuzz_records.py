"""Whatever a run directory or a file beside it holds, commands on it end with one of their exit codes.

And without a traceback: see tests/support/fuzz.py, and `make fuzz`.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports.analysis.metrics import metric_names
from scalelag.cli.main import app
from tests.support.built.calibration import CALIBRATION
from tests.support.fuzz import (
    STORED,
    changed,
    changed_json,
    damaged,
    damaged_text,
    invoke,
    odd,
    rounds,
)

FORMS = ("terminal", "json", "md", "junit", "csv", "csv", "html")
RECORDS = ("node-started", "demo", "front-and-model")
SEEDS = [(8, 0), pytest.param(17, 8, marks=pytest.mark.long)]
"""Number of seeds, and the first one: a few in `make test`, the others in `make test-long`."""
DAY = "time_s,rps\n" + "".join(f"{t * 600},{60 if 48 <= t < 120 else 20}\n" for t in range(144))
POLICY = """\
def policy(ctx):
    return {body}
"""
BODIES = (
    *("ctx.current_num_replicas, {}", "1, {}", "None", "'a', {}", "-1, {}", "10**9, {}", "3"),
    *("float('nan'), {}", "1 / 0", "ctx.no_such_field", "(1, {}, 2)", "1, None", "{}, {}"),
    *("(_ for _ in ()).throw(SystemExit(3))", "(_ for _ in ()).throw(KeyError('x'))", "True, []"),
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed_copy(draw, source: Path, copy: Path) -> None:
    """Copy a record, with one of its files changed or missing."""
    shutil.copytree(source, copy)
    file = draw.choice(sorted(path for path in copy.iterdir() if path.is_file()))
    if draw.random() < 0.05:
        file.unlink()
    else:
        file.write_bytes(changed(draw, file.name, file.read_bytes()))


@pytest.mark.parametrize(("least", "first"), SEEDS)
def test_any_damage_to_a_record(here, least, first):
    for name in RECORDS:
        shutil.copytree(STORED / name, here / "good" / name)
        written = f"good/{name}/report.json"
        invoke("report", f"good/{name}", "--format", "json", "--output", written)
    shutil.copytree(here / "good" / "demo", here / "runs" / "good")
    for draw in rounds(least, first):
        changed_copy(draw, here / "good" / draw.choice(RECORDS), here / "runs" / "bad")
        invoke("report", "runs/bad", "--format", draw.choice(FORMS), "--output", "out")
        invoke("export", "runs/bad", "--parquet", "out.parquet")
        assert invoke("runs", "runs") == 0
        assert invoke("trend", "load.latency_p99_ms", "runs", "--json") == 0
        invoke("compare", "runs/good", "--against", "runs/bad", "--allow-differences")
        shutil.rmtree(here / "runs" / "bad")


@pytest.mark.parametrize(("least", "first"), SEEDS)
def test_any_gate_metric_and_option_of_reports(here, least, first):
    run = str(STORED / "node-started")
    shutil.copytree(STORED / "demo", here / "runs" / "demo")
    names = metric_names()
    for draw in rounds(least, first):
        figure = draw.choice(names).replace("NAME", draw.choice(["a", '"b c"', "*", '"\\""']))
        figure = figure.replace(
            ".N.", draw.choice([".1.", ".*.", ".-1.", ".99999999999999999999."])
        )
        figure = figure if draw.random() < 0.7 else odd(draw)
        limit = draw.choice(["1", "-1e300", "1e400", odd(draw)])
        gate = f"{figure} {draw.choice(['<=', '<', '>=', '>', '=='])} {limit}"
        invoke("report", run, "--gate", gate, *draw.choice([(), ("--strict",)]))
        invoke("trend", figure, "runs")
        value = odd(draw)
        invoke("report", run, f"{draw.choice(['--details', '--format', '--output'])}={value}"[:200])
        for flag in (f"--min-effect={value}", f"--main={value}", f"--against={value}"):
            invoke("compare", run, "--against", run, flag, "--within-run")


def test_any_settings_policy_and_record_of_whatif_and_tune(here):
    for draw in rounds(4):
        changed_copy(draw, STORED / "demo", here / "run")
        run = draw.choice(["run", str(STORED / "demo")])
        (here / "mine.py").write_text(POLICY.format(body=draw.choice(BODIES)))
        setting = draw.choice(["max_replicas", "upscale_delay_s", "default/Sleeper:min_replicas"])
        asked = {
            "--set": f"{setting}={odd(draw)}",
            "--policy": draw.choice(["mine:policy", "mine:none", odd(draw)]),
            "--steps": odd(draw),
            "--slo": odd(draw),
            "--seed": odd(draw),
        }
        flags = draw.sample(list(asked), draw.choice([1, 1, 2]))
        invoke("whatif", run, *(f"{flag}={asked[flag]}" for flag in flags))
        kept = {"--keep": odd(draw), "--slo": odd(draw), "--min-savings": odd(draw)}
        flag = draw.choice(list(kept))
        invoke("tune", run, "--slo=p95<400ms", "--candidates=2", f"{flag}={kept[flag]}")
        sys.modules.pop("mine", None)  # the next policy is read anew
        shutil.rmtree(here / "run")


def test_any_calibration_and_trace_of_fleet_sizing(here):
    for draw in rounds(12):
        content = json.dumps(CALIBRATION).encode()
        content = draw.choice([changed_json, changed_json, damaged])(draw, content)
        (here / "calibration.json").write_bytes(content)
        (here / "day.csv").write_bytes(
            DAY.encode() if draw.random() < 0.5 else damaged_text(draw, DAY)
        )
        days = odd(draw) if draw.random() < 0.3 else "0.05"
        invoke("whatif", "--capacity=calibration.json", "--trace=day.csv", f"--days={days}")


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

    assert code == 2
    assert not list(here.glob("*.tmp"))
    assert invoke("export", str(STORED / "node-started"), "--parquet", output) == 2
