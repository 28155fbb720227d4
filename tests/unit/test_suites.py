"""The suites that come with scalelag: each file is a run that can be started, as its size promises."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from reports.analysis.gates import parse_gate
from scalelag.cli.main import app
from scalelag.cli.run.config_file import kinds_of, read_options
from scalelag.cli.run.locust_arguments import with_run_options
from scalelag.cli.suite import FOLDER, suite_file, suites
from scalelag.cluster.apps import resolve_app, with_autoscaling
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options
from scalelag.plan.stages import parse_plan

ROOT = Path(__file__).parents[2]
FILES = sorted(FOLDER.glob("*/*.toml"))
OF_RUN = {"app", "app-arg", "cpus", "processes", "autoscaling", "request", "mix"}


def kinds():
    commands: Any = typer.main.get_command(app)
    return kinds_of(commands.commands["run"].params)


def test_there_are_suites_and_each_has_both_sizes():
    found = [one.name for one in suites()]

    assert found == sorted(path.name for path in FOLDER.iterdir() if any(path.glob("*.toml")))
    assert all(
        {"smoke.toml", "full.toml"} <= {p.name for p in (FOLDER / n).iterdir()} for n in found
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_suite_is_a_run_with_the_gates_that_its_owners_state(path: Path):
    table = tomllib.loads(path.read_text(encoding="utf-8"))

    options = run_options(
        {key.replace("-", "_"): value for key, value in table.items() if key not in OF_RUN}
    )

    assert set(map(parse_gate, table["gate"])) <= set(options.gates)
    # Of few requests more are lost with a replica than of many.
    few = path.parent.name == "replica-recovery" and path.stem == "smoke"
    assert "target_reversals <= 3" in table["gate"]
    running = 0.85 if path.stem == "smoke" else 0.95
    assert f"running_over_target.mean >= {running}" in table["gate"]
    assert f"requests.error_ratio <= {0.01 if few else 0.001}" in table["gate"]
    name = str(path.parent / table["app"]) if table["app"].endswith(".yaml") else table["app"]
    apps = resolve_app(name, table.get("app-arg", ()), importable_here=True)
    if "autoscaling" in table:
        with_autoscaling(apps, path.parent / table["autoscaling"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_option_of_a_suite_is_one_that_a_run_takes(path: Path):
    table = tomllib.loads(path.read_text(encoding="utf-8"))

    taken = read_options(path, kinds())

    assert {key.replace("-", "_") for key in table} - {"request"} <= taken.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_suite_begins_with_what_it_runs(path: Path):
    first = path.read_text(encoding="utf-8").partition("\n")[0]

    assert first.startswith("# ")
    assert 20 < len(first) < 80


def test_the_small_sizes_take_less_than_three_minutes_with_what_comes_before_and_after():
    for one in suites():
        table = tomllib.loads(suite_file(one.name, smoke=True).read_text(encoding="utf-8"))
        assert parse_plan(table["steps"]).duration_s + table["drain"] <= 155, one.name
        assert table.get("cpus", 4) == 4, "the machine is small"


def test_the_mix_of_eight_applications_is_the_one_of_rays_service():
    for size in ("smoke", "full"):
        folder = FOLDER / "eight-applications"
        table = tomllib.loads((folder / f"{size}.toml").read_text(encoding="utf-8"))
        apps = yaml.safe_load((folder / f"{size}.yaml").read_text(encoding="utf-8"))
        assert [one["weight"] for one in table["request"]] == [4, 1, 1, 38, 1, 62, 1, 1]
        assert [one["path"] for one in table["request"]] == [
            one["route_prefix"] for one in apps["applications"]
        ]
        assert table["warmup"] > 0


def test_an_unknown_suite_is_refused_with_the_names_like_it():
    with pytest.raises(UsageError, match=r'"high" is no suite; did you mean highscale\?'):
        suite_file("high", smoke=True)
    with pytest.raises(UsageError, match="give the name of a suite first; there are autoscaling"):
        suite_file(None, smoke=True)


def test_what_is_not_the_suites_is_handed_on_to_run():
    given = ["highscale", "--smoke", "--host", "http://h", "--gate", "a <= 1", "-f", "x.py"]

    assert with_run_options(given) == [
        "--smoke",
        "highscale",
        *(f"--run-option={one}" for one in given[2:]),
    ]
    assert with_run_options(["--list"]) == ["--list"]


def test_the_list_names_every_suite():
    done = CliRunner().invoke(app, ["suite", "--list"])

    assert done.exit_code == 0
    for one in suites():
        assert one.name in done.output
        assert one.full in done.output


def test_options_of_run_win_over_the_suite(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "scalelag.cli",
        "suite",
        "highscale",
        "--smoke",
        "--steps",
        "x",
    ]

    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert '--steps: Stage 1 "x" of the load plan' in done.stderr
