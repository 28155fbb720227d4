"""Variables that the installed Ray uses nowhere, found in its sources without importing it."""

import subprocess
import sys
from pathlib import Path

import pytest

from scalelag.cluster.unread_variables import ray_folder, unread, unread_variables

PUSH_INTERVALS = (
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S",
)


def test_the_push_intervals_are_read_nowhere_and_what_replaces_them_is_named():
    findings = unread_variables(dict.fromkeys(PUSH_INTERVALS, "1"))

    assert [f.rule for f in findings] == ["variable-read-nowhere"] * 2
    for finding, name in zip(findings, PUSH_INTERVALS, strict=True):
        assert finding.deployment is None
        assert finding.text.startswith(f"{name} is set in this environment and has no effect: Ray ")
        assert "Set metrics_interval_s in autoscaling_config instead." in finding.text


def test_variables_that_work_or_are_not_of_serve_are_well():
    # Each of these is read in ray/serve/_private/constants.py and used elsewhere (Ray 2.60).
    environ = {
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
        "RAY_SERVE_COLLECT_AUTOSCALING_METRICS_ON_HANDLE": "0",
        "RAY_ADDRESS": "auto",
        "PATH": "/bin",
    }

    assert unread_variables(environ) == []


def test_a_misspelt_variable_is_found():
    (finding,) = unread_variables({"RAY_SERVE_CONTROL_LOOP_INTERVALL_S": "0.2"})

    assert "RAY_SERVE_CONTROL_LOOP_INTERVALL_S" in finding.text
    assert finding.text.endswith("uses it nowhere. Unset it.")


def test_ray_is_not_imported_for_it():
    code = (
        "import sys; from scalelag.cluster.unread_variables import unread_variables; "
        "assert unread_variables({'RAY_SERVE_NOPE': '1'}); assert 'ray' not in sys.modules"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )

    assert answer.returncode == 0, answer.stderr


def test_without_a_ray_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert ray_folder() is None
    assert unread_variables({"RAY_SERVE_NOPE": "1"}) == []


@pytest.mark.parametrize(
    ("sources", "used"),
    [
        ({"a.py": "import os\nx = os.environ.get('V')\n", "b.py": "from a import x\n"}, False),
        ({"a.py": "import os\nx = os.environ.get('V')\n", "b.py": "import a\nprint(a.x)\n"}, True),
        ({"a.py": "NAME = 'V'\n", "b.py": "from a import NAME\n"}, False),
        ({"a.py": "NAME = 'V'\ndef f(env):\n    return env[NAME]\n"}, True),
        ({"a.py": "if 'V' in environ:\n    pass\n"}, True),
        ({"a.py": "x: str = get('V')\ny = x\n"}, True),
        ({"a.py": "self.x = get('V')\n"}, True),  # where it goes from there is not followed
        ({"a.py": '"""Set `V` to do nothing."""\n# V\n'}, False),
        ({"a.py": "V = 3\nprint(V)\n"}, False),
        ({"a.py": "x = get('VV')\nprint(x)\n"}, False),
        ({"a.py": "this is 'V' and no Python\n"}, False),
    ],
)
def test_a_variable_counts_as_used_where_its_value_can_get(tmp_path: Path, sources, used):
    for name, text in sources.items():
        (tmp_path / name).write_text(text)

    assert unread(["V"], tmp_path) == ([] if used else ["V"])


def test_of_a_cluster_with_another_ray_nothing_is_claimed():
    """`--ray 2.44`: the installed sources say nothing about it."""
    assert unread_variables({"RAY_SERVE_NOPE": "1"}, "2.44.1") == []
