"""Options from a file: what it may hold, what is refused, and what wins."""

import subprocess
import sys
from pathlib import Path

import pytest

from scalelag.cli.run.config_file import Kind, read_options
from scalelag.errors import UsageError

KINDS = {
    "steps": Kind.ONE,
    "cpus": Kind.ONE,
    "observer_budget": Kind.ONE,
    "gate": Kind.SEVERAL,
    "locustfile": Kind.SEVERAL,
    "out": Kind.ONE,
    "strict": Kind.FLAG,
}


def written(folder: Path, text: str, name: str = "scalelag.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_values_are_as_on_the_command_line(tmp_path: Path):
    path = written(
        tmp_path,
        'steps = "5rps:15s"\ncpus = 4\nobserver-budget = 0.02\ngate = ["a <= 1"]\nstrict = true\n',
    )

    assert read_options(path, KINDS) == {
        "steps": "5rps:15s",
        "cpus": "4",
        "observer_budget": "0.02",
        "gate": ["a <= 1"],
        "strict": True,
    }


def test_paths_count_from_the_folder_of_the_file(tmp_path: Path):
    path = written(tmp_path, 'out = "runs"\nlocustfile = ["mine.py", "/elsewhere/theirs.py"]\n')

    assert read_options(path, KINDS) == {
        "out": str(tmp_path / "runs"),
        "locustfile": [str(tmp_path / "mine.py"), "/elsewhere/theirs.py"],
    }


def test_a_projects_file_holds_them_in_a_table_of_its_own(tmp_path: Path):
    path = written(
        tmp_path, '[project]\nname = "x"\n[tool.scalelag]\nsteps = "1rps:1s"\n', "pyproject.toml"
    )

    assert read_options(path, KINDS) == {"steps": "1rps:1s"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gates = []", 'there is no option "gates"; did you mean gate'),
        ("zzz = 1", 'there is no option "zzz"; see docs/commands.md'),
        ('gate = "a <= 1"', "gate takes a list of values"),
        ("gate = [[1]]", "gate takes a list of values"),
        ('strict = "yes"', "strict takes true or false"),
        ("steps = true", "steps takes one value"),
        ("steps = []", "steps takes one value"),
        ("steps = 2026-11-25", "steps takes one value"),
        ('observer-budget = "1%"\nobserver_budget = "2%"', "is given twice"),
        ("steps =", "is not TOML"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_file(tmp_path: Path, text: str, said: str):
    path = written(tmp_path, text)

    with pytest.raises(UsageError) as caught:
        read_options(path, KINDS)

    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "has no [tool.scalelag]"), ("[tool]\nscalelag = 3\n", "tool.scalelag must be a table")],
)
def test_a_projects_file_without_a_table_is_refused_by_name(tmp_path: Path, text: str, said: str):
    path = written(tmp_path, text, "pyproject.toml")

    with pytest.raises(UsageError, match=r"pyproject\.toml") as caught:
        read_options(path, KINDS)

    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.toml: No such file"):
        read_options(tmp_path / "none.toml", KINDS)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`scalelag run` in a folder, with something in each test that ends it before a cluster starts."""
    return subprocess.run(
        [sys.executable, "-m", "scalelag.cli", "run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_file_of_the_folder_is_taken_and_named(tmp_path: Path):
    written(tmp_path, 'steps = "nonsense"\n')

    done = run(tmp_path)

    assert done.returncode == 2
    assert "options of scalelag.toml" in done.stderr
    assert "nonsense" in done.stderr


def test_the_command_line_wins(tmp_path: Path):
    written(tmp_path, '[tool.scalelag]\nsteps = "nonsense"\n', "pyproject.toml")

    done = run(tmp_path, "--steps", "1rps:1s", "--host", "no-url")

    assert done.returncode == 2
    assert "no-url" in done.stderr
    assert "nonsense" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request-timeout = -1", "request-timeout: -1: give 0.001 or more seconds"),
        ("processes = 0", "processes: Input should be greater than or equal to 1"),
        ('max_in_flight = "many"', "max-in-flight: Input should be a valid integer"),
        ('gate = ["requests.error_ratio <= 1", "a ?? b"]', "gate: "),
    ],
)
def test_a_value_that_its_option_does_not_take_is_named_with_file_and_key(tmp_path, text, said):
    written(tmp_path, f"{text}\n")

    done = run(tmp_path, "--steps", "1rps:1s", "--host", "no-url")

    assert done.returncode == 2
    assert f"scalelag.toml: {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_may_be_named(tmp_path: Path):
    other = written(tmp_path, 'host = "no-url"\n', "nightly.toml")
    written(tmp_path, 'steps = "nonsense"\n')

    done = run(tmp_path, "--config", str(other))

    assert done.returncode == 2
    assert "no-url" in done.stderr
    assert "nonsense" not in done.stderr


def test_an_unknown_option_in_the_file_of_the_folder_ends_the_command(tmp_path: Path):
    written(tmp_path, 'stpes = "1rps:1s"\n')

    done = run(tmp_path)

    assert done.returncode == 2
    assert 'scalelag.toml: there is no option "stpes"; did you mean steps' in done.stderr
