"""Findings on a configuration, from the stand-in's answers to what a person reads."""

import json
import os
import subprocess
import sys

import pytest

from scalelag.cli.signatures import doctor
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, Script

PUSH_INTERVAL = "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S"
SLOW_PUSH = {"metrics_interval_s": 10.0, "look_back_period_s": 20.0, "upscale_delay_s": 2.0}
SLOW_PUSH_TEXT = "metrics_interval_s 10 is longer than upscale_delay_s 2"
# Ray's own, where the stand-in's are quicker.
SANE = {
    "metrics_interval_s": 10.0,
    "look_back_period_s": 30.0,
    "upscale_delay_s": 30.0,
    "downscale_delay_s": 600.0,
}


def script(autoscaling, more_resources=None):
    deployment = DeploymentScript(
        targets=((-60.0, 1),),
        replicas=(steady_replica(),),
        autoscaling={"max_replicas": 2} | autoscaling,
        required_resources={"CPU": 0.1} if more_resources is None else more_resources,
    )
    return Script(applications={"default": {"Model": deployment}})


@pytest.fixture
def examine(capsys, monkeypatch):
    """Runs `doctor` on a script; what it printed on one line."""
    monkeypatch.setenv("COLUMNS", "120")
    for name in os.environ:
        if name.startswith("RAY_SERVE_"):
            monkeypatch.delenv(name)

    def look(played):
        with running_standin(played) as standin:
            code = doctor(dashboard=standin.url)
        return code, " ".join(capsys.readouterr().out.split())

    return look


def test_doctor_has_nothing_to_say_about_the_defaults_of_ray(examine):
    code, output = examine(script(SANE))

    assert code == 0
    assert "ok configuration no setting does harm or has no effect" in output


def test_doctor_names_the_deployment_the_numbers_and_the_rule(examine):
    code, output = examine(script(SANE | SLOW_PUSH))

    assert code == 0
    assert output.count("warn default/Model") == 2
    assert SLOW_PUSH_TEXT in output
    assert "[push-slower-than-delay]" in output
    assert "[delay-within-look-back]" in output


def test_doctor_names_what_max_replicas_lacks_once(examine):
    _code, output = examine(script(SANE | {"max_replicas": 1000}, {"CPU": 4.0}))

    assert output.count("no room: CPU: 3996 needed for max_replicas of default/Model") == 1
    assert "[max-replicas-beyond-room]" in output


def test_doctor_names_variables_that_do_nothing(examine, monkeypatch):
    monkeypatch.setenv(PUSH_INTERVAL, "1")

    _code, output = examine(script(SANE))

    assert f"{PUSH_INTERVAL} is set in this environment and has no effect" in output


def run(folder, played, **environment):
    with running_standin(played) as standin, running_echo() as echo:
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "stepped.py")]
        command += ["--headless", "--host", echo.url, "--dashboard", standin.url]
        ended = subprocess.run(
            [*command, "--steps", "20rps:1s", "--drain", "0"],
            cwd=folder,
            env=os.environ | environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    (path,) = (folder / "runs").iterdir()
    return ended, *(json.loads((path / name).read_bytes()) for name in ("run.json", "report.json"))


def test_a_run_says_it_at_its_start_records_it_and_reports_it_once(tmp_path):
    ended, info, report = run(tmp_path, script(SANE | SLOW_PUSH))

    assert ended.returncode == 0, ended.stderr
    assert f"default/Model: {SLOW_PUSH_TEXT}" in " ".join(ended.stderr.split())
    rules = ["push-slower-than-delay", "delay-within-look-back"]
    assert [finding["rule"] for finding in info["findings"]] == rules
    # The record of a second is too short to be simulated, which nobody knows at the start.
    assert all(finding["command"] for finding in info["findings"])
    assert report["lint"] == [finding | {"command": None} for finding in info["findings"]]
    assert not any(SLOW_PUSH_TEXT in warning for warning in report["warnings"])
    assert " ".join(ended.stdout.split()).count(SLOW_PUSH_TEXT) == 1
    assert "\n Configuration\n" in ended.stdout


def test_a_run_on_a_cluster_of_others_says_nothing_of_the_environment_here(tmp_path):
    ended, info, report = run(tmp_path, script(SANE), **{PUSH_INTERVAL: "1"})

    assert ended.returncode == 0, ended.stderr
    assert info["findings"] == report["lint"] == []
    assert "Configuration" not in ended.stdout
