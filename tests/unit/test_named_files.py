"""Options that name a file: an empty name, and a file of certificates that is none."""

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

FILES = [option.flag for option in OPTIONS if option.is_local]
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


@pytest.mark.parametrize("flag", FILES)
def test_an_empty_name_of_a_file_is_refused_by_its_option(here, flag):
    code, said = ended("run", *NOWHERE, flag, "")

    assert code == EXIT_USAGE
    assert flag in said
    assert "this is empty" in said


def test_an_empty_name_takes_the_place_of_one_in_the_file_of_options(here):
    (here / "scalelag.toml").write_text('trace = "none.csv"\n')

    assert ended("run", *NOWHERE, "--trace", "")[0] == 0
    assert ended("run", *NOWHERE)[0] == EXIT_USAGE


def test_an_empty_name_in_a_file_of_options_is_refused_by_its_key(here):
    (here / "scalelag.toml").write_text('data = ""\n')

    with pytest.raises(UsageError, match=r"scalelag\.toml: data is empty"):
        read_options(here / "scalelag.toml", {"data": Kind.ONE})


@pytest.mark.parametrize("key", ["data", "body-file"])
def test_an_empty_name_in_a_request_of_a_mix_is_refused(here, key):
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
