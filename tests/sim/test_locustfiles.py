"""Locustfiles as people have them, with plain Locust and with scalelag: `make locustfiles` has all."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.locust_run import started
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tools.locustfiles.cases import CASES, MAIN, VISITOR, Case, Counts
from tools.locustfiles.runs import ours
from tools.locustfiles.sides import both, differences

CHOSEN = (
    "data handed out by `target_user_count`",
    "requests that fail, and a listener that sets exit code 0",
    "`runner.quit()`",
)
ALSO = ("users that end themselves (`StopUser`)", "`locust.conf`", "a shape class of its own")


@pytest.fixture(scope="module")
def addresses():
    with running_echo() as echo, running_standin(one_deployment(steady_replica())) as standin:
        yield echo.url, standin.url


def made_at_once(kinds, addresses, tmp_path_factory):
    """Both sides of each case, by its kind; runs mostly wait, and so they are made at once."""
    chosen = [case for case in CASES if case.kind in kinds]
    folders = [tmp_path_factory.mktemp("case") for _ in chosen]
    with ThreadPoolExecutor(3) as pool:
        made = pool.map(lambda case, folder: both(case, folder, *addresses), chosen, folders)
        return {case.kind: (case, found) for case, found in zip(chosen, made, strict=True)}


@pytest.fixture(scope="module")
def sides(addresses, tmp_path_factory):
    return made_at_once(CHOSEN, addresses, tmp_path_factory)


@pytest.fixture(scope="module")
def other_sides(addresses, tmp_path_factory):
    return made_at_once(ALSO, addresses, tmp_path_factory)


@pytest.mark.parametrize("kind", CHOSEN)
def test_it_counts_as_plain_locust_does_and_its_exit_code_is_never_milder(sides, kind):
    case, found = sides[kind]

    assert differences(case, found) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ALSO)
def test_others_count_as_plain_locust_does(other_sides, kind):
    case, found = other_sides[kind]

    assert differences(case, found) == []


def test_what_ended_a_run_early_is_named_with_its_line(sides):
    _, found = sides["`runner.quit()`"]

    assert found.ours.exit_code == 5
    assert f"{MAIN}, line " in " ".join(found.ours.said.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class (:\n", f"-f {MAIN}, line 1 is not Python"),
        ("from locust import HttpUser\n\0", "is not Python"),
        (
            "import time\nimport no_such_module\n",
            f"ModuleNotFoundError: No module named 'no_such_module' (in {MAIN}, line 2)",
        ),
        (
            f"{VISITOR}    weight = 0\n",
            "ValueError: There are no users with weight > 0. (in Locust)",
        ),
    ],
)
def test_a_locustfile_that_cannot_be_loaded_is_one_line(addresses, tmp_path, text, said):
    case = Case("broken", {MAIN: text}, Counts(0))

    with pytest.raises(RuntimeError) as caught:
        ours(case, tmp_path, *addresses)

    assert said in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_proxies_of_the_environment_are_used_by_neither_load_nor_probe(addresses, tmp_path):
    host, dashboard = addresses
    (tmp_path / MAIN).write_text(VISITOR)
    nowhere = "http://127.0.0.1:9"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
    options = ["--host", host, "--dashboard", dashboard, "--steps", "20rps:2s"]

    with started(tmp_path, *options, environment=dict.fromkeys(names, nowhere)) as locust:
        run = locust.wait()

    assert run.load["failed"] == 0
    assert run.load["sent"] == 40
    assert run.report["probe"]["polls"] > 0
    assert run.report["probe"]["gaps"] == 0
