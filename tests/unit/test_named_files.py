"""Empty values, and a file of certificates that is none."""

import pytest
from typer.testing import CliRunner

from probes.dashboard import VERSION_PATH, Dashboard, DashboardError
from scalelag.cli.main import app
from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.config_file import Kind, read_options
from scalelag.cli.run.retries import AttemptResult
from scalelag.errors import EXIT_USAGE, UsageError
from scalelag.options.catalog import OPTIONS
from scalelag.options.run_options import run_options

OF_A_RUN = [
    *(option.flag for option in OPTIONS if option.type != "flag" and not option.may_be_empty),
    *("--app", "--app-dir", "--app-arg", "--config", "--host", "--ray", "-f", "--master-host"),
    "--processes",
]
NOWHERE = ("--host", "http://127.0.0.1:9", "--dashboard", "http://127.0.0.1:9")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own to run in; runs end where the target would be asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Attempt, "run", lambda *_: AttemptResult(0, None))
    return tmp_path


def ended(*arguments: str) -> tuple[int, str]:
    """Exit code of a command, and what it said in one line."""
    result = CliRunner().invoke(app, [*arguments])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("flag", OF_A_RUN)
def test_an_empty_value_is_refused_by_its_option(here, flag):
    code, said = ended("run", *NOWHERE, flag, "")

    assert code == EXIT_USAGE
    assert flag in said
    assert "this is empty" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", *NOWHERE, ""),
        ("report", ""),
        ("report", "run", "--output", ""),
        ("compare", "", "--against", "run"),
        ("compare", "run", "--against", ""),
        ("runs", ""),
        ("trend", ""),
        ("export", "run", "--parquet", ""),
        ("whatif", "run", "--set", ""),
        ("tune", "run", "--out", ""),
        ("doctor", "--host", ""),
        ("matrix", "--ray", ""),
        ("suite", ""),
    ],
)
def test_an_empty_value_is_refused_by_every_command(here, arguments):
    code, said = ended(*arguments)

    assert code == EXIT_USAGE
    assert "this is empty. Leave it out, or give it a value." in said


def test_empty_arguments_for_locust_and_an_empty_body_are_passed_on(here):
    assert ended("run", *NOWHERE, "--", "--region", "")[0] == 0
    assert ended("run", *NOWHERE, "--json-body", "")[0] == 0


def test_an_empty_value_takes_away_that_in_the_file_of_options(here):
    (here / "scalelag.toml").write_text('trace = "none.csv"\nslo = ["nonsense"]\nmodels = "a"\n')

    assert ended("run", *NOWHERE, "--trace", "", "--slo", "", "--models", "")[0] == 0
    assert ended("run", *NOWHERE, "--trace", "", "--slo", "")[0] == 0
    assert ended("run", *NOWHERE, "--trace", "")[0] == EXIT_USAGE
    assert ended("run", *NOWHERE, "--slo", "")[0] == EXIT_USAGE


@pytest.mark.parametrize("key", ["data", "models"])
def test_an_empty_value_in_a_file_of_options_is_refused_by_its_key(here, key):
    (here / "scalelag.toml").write_text(f'{key} = ""\n')

    with pytest.raises(UsageError, match=rf"scalelag\.toml: {key} is empty"):
        read_options(here / "scalelag.toml", {key: Kind.ONE})


@pytest.mark.parametrize("key", ["data", "body-file", "expect", "path"])
def test_an_empty_value_in_a_request_of_a_mix_is_refused(here, key):
    (here / "mix.toml").write_text(f'[[request]]\n{key} = ""\n')

    with pytest.raises(UsageError, match=rf"\[\[request\]\] 1: {key}: this is empty"):
        run_options({"requests": "mix.toml"})


@pytest.mark.parametrize("dashboard", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.pem", None, "--dashboard-ca none.pem: No such file or directory."),
        ("ca.pem", b"", "--dashboard-ca ca.pem: there is no certificate in PEM form."),
        ("ca.pem", b"no certificate", "--dashboard-ca ca.pem: there is no certificate"),
        ("a" * 300, None, ": File name too long."),
    ],
)
def test_a_file_without_a_certificate_is_refused_whatever_the_dashboard(
    here, dashboard, name, content, said
):
    if content is not None:
        (here / name).write_bytes(content)
    given = ("--dashboard", dashboard, "--dashboard-ca", name)

    for code, output in (ended("run", *NOWHERE[:2], *given), ended("doctor", *given)):
        assert code == EXIT_USAGE
        assert said in output


def test_an_empty_name_of_a_certificate_is_refused_by_doctor(here):
    code, said = ended("doctor", "--dashboard-ca", "")

    assert (code, "this is empty" in said) == (EXIT_USAGE, True)


def test_a_bundle_of_certificates_that_is_gone_is_no_answer_with_its_reason(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")

    with pytest.raises(DashboardError, match=r"/nowhere/ca\.pem.*REQUESTS_CA_BUNDLE"):
        Dashboard("https://127.0.0.1:9", lambda: 0.0).get(VERSION_PATH)
