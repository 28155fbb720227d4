"""Locustfiles: which are found, and the defaults of options that they set."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import locustfiles
from scalelag.cli.run.load_process import (
    LoadProcess,
    check_user_names,
    find_locustfiles,
    option_arguments,
    out_of_sight,
)
from scalelag.errors import UsageError
from scalelag.options import catalog
from scalelag.options.catalog import set_defaults
from scalelag.options.run_options import RunOptions, run_options
from scalelag.plugin.parent import SECRET_VARIABLES

HOME = Path(locustfiles.__file__).parent
BODY = '{"stream": true}'


@pytest.fixture
def chat_defaults(monkeypatch):
    """As in a process that has loaded a locustfile for chats."""
    monkeypatch.setattr(catalog, "_defaults", dict(catalog._defaults))
    set_defaults(path="/chat", method="POST", json_body=BODY)


def as_locust_passes_them(**given: object) -> RunOptions:
    return run_options({"path": "/chat", "method": "POST", "json_body": BODY} | given)


def test_a_default_can_be_set_only_where_there_is_such_an_option(chat_defaults):
    for name in ("pfad", "header"):
        with pytest.raises(UsageError, match=rf"attach\({name}=\.\.\)"):
            set_defaults(**{name: "x"})


def test_a_default_body_makes_way_for_a_file(chat_defaults, tmp_path):
    file = tmp_path / "body.json"
    file.write_bytes(b"[1]")

    assert as_locust_passes_them().request.body == BODY.encode()
    assert as_locust_passes_them(json_body="[2]").request.body == b"[2]"
    options = as_locust_passes_them(body_file=str(file))
    assert options.request.body == b"[1]"
    assert options.public()["json_body"] is None


def test_two_bodies_that_were_given_are_refused(chat_defaults, tmp_path):
    file = tmp_path / "body.json"
    file.write_bytes(b"[1]")

    with pytest.raises(UsageError, match="one of the two"):
        as_locust_passes_them(json_body="[2]", body_file=str(file))


def test_the_load_process_is_told_what_was_given_and_nothing_else():
    given = {"path": "/", "drain": 0.0, "strict": True, "gate": ["a <= 1", "b <= 2"]}

    assert set(option_arguments(given)) == {
        *("--path=/", "--drain=0.0", "--strict", "--gate=a <= 1", "--gate=b <= 2"),
    }


def test_a_file_that_is_here_goes_before_one_of_the_same_name_that_comes_with_us(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stepped.py").touch()
    named = [Path("stepped.py"), Path("llm_chat.py"), Path("locustfiles/llm_chat.py")]

    assert find_locustfiles(named) == [Path("stepped.py"), *[HOME / "llm_chat.py"] * 2]


@pytest.mark.parametrize("name", ["users.py", "mine/llm_chat.py", "/llm_chat.py", "llm_chat", "."])
def test_a_file_that_is_nowhere_is_refused_with_those_that_come_with_us(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=r"no such locustfile.*llm_chat\.py.*stepped\.py"):
        find_locustfiles([Path(name)])


def test_a_file_that_locust_would_not_take_for_a_locustfile_is_refused(tmp_path):
    (tmp_path / "users.txt").touch()

    with pytest.raises(UsageError, match=r"users\.txt: the name of a locustfile ends with \.py"):
        find_locustfiles([tmp_path / "users.txt"])


def test_every_entry_file_can_be_found_by_its_name():
    attaching = {
        path.name
        for path in HOME.glob("*.py")
        if re.search(r"^attach\(", path.read_text(), re.MULTILINE)
    }

    assert attaching - {"attached.py"} == set(locustfiles.ENTRY_FILES)


def test_urls_with_a_password_are_in_no_argument_of_the_load_process():
    secret = "http://us:pa@ss@127.0.0.1:9"
    given = {"dashboard": secret, "prometheus": "http://127.0.0.1:9090", "path": "/a@b"}
    arguments = [*option_arguments(given), f"--host={secret}"]

    seen, hidden = out_of_sight(arguments)

    assert set(seen) == {"--path=/a@b", "--prometheus=http://127.0.0.1:9090"}
    assert hidden == {"SCALELAG_DASHBOARD_URL": secret, "LOCUST_HOST": secret}
    process = LoadProcess(arguments)
    assert not any("pa@ss" in one for one in process._command)
    assert process._environment["LOCUST_HOST"] == secret


@pytest.mark.parametrize(
    ("given", "variable", "value"),
    [
        ({"path": "/x?api_key=s3cret"}, "SCALELAG_PATH", "/x?api_key=s3cret"),
        ({"json_body": '{"password": "s3cret"}'}, "SCALELAG_JSON_BODY", '{"password": "s3cret"}'),
        (
            {"header": ["X-A: s3cret", "X-B: ${B}"]},
            "SCALELAG_HEADERS",
            '["X-A: s3cret","X-B: ${B}"]',
        ),
        ({"dashboard_header": ["X-A: s3cret"]}, "SCALELAG_DASHBOARD_HEADERS", '["X-A: s3cret"]'),
    ],
)
def test_what_no_record_shows_is_in_no_argument_of_the_load_process(given, variable, value):
    process = LoadProcess(option_arguments({"steps": "5rps:1s", **given}))

    assert not any("s3cret" in one for one in process._command)
    assert "--steps=5rps:1s" in process._command
    assert process._environment[variable] == value


def test_the_password_of_a_locustfile_that_is_a_url_is_in_no_argument():
    process = LoadProcess([], passed_on=["Chat"], locustfiles=[Path("http://u:s3cret@h/file.py")])

    assert not any("s3cret" in one for one in process._command)
    assert process._command[3] == "Chat"
    assert process._environment["LOCUST_LOCUSTFILE"].endswith(",http://u:s3cret@h/file.py")


def test_options_without_a_secret_stay_arguments():
    given = {"path": "/x?n=1", "json_body": '{"q": 1}', "header": ["X-A: ${A}"]}
    arguments = option_arguments(given)

    assert out_of_sight(arguments) == (arguments, {})


def test_locusts_parser_takes_secrets_from_the_environment():
    asked = (
        "import json\n"
        "from locust.argument_parser import get_empty_argument_parser, setup_parser_arguments\n"
        "from scalelag.plugin.locust_options import add_options\n"
        "parser = get_empty_argument_parser()\n"
        "setup_parser_arguments(parser)\n"
        "add_options(parser)\n"
        "print(json.dumps(vars(parser.parse_args([])), default=str))\n"
    )
    given = {
        "host": "http://u:1@h:1",
        "dashboard": "http://u:2@h:2",
        "prometheus": "http://u:3@h:3",
        "path": "/x?api_key=[4]",
        "json_body": '[{"token": "5"}]',
        "header": ["X-A: 6, [7]", "X-B: ${B}"],
        "dashboard_header": ["X-A: 8"],
    }
    dests = [flag.removeprefix("--").replace("-", "_") for flag in SECRET_VARIABLES]
    texts = [v if isinstance(v, str) else json.dumps(v) for v in (given[one] for one in dests)]

    ran = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | dict(zip(SECRET_VARIABLES.values(), texts, strict=True)),
        capture_output=True,
        text=True,
        check=True,
    )

    found = json.loads(ran.stdout)
    assert {name: found[name] for name in given} == given


USERS = "from locust import HttpUser\n\n\nclass Visitor(HttpUser):\n    pass\n"


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (
            USERS,
            "Vistor",
            "Vistor: the locustfile has no user class of that name; did you mean Vis",
        ),
        (USERS, "Zzz", "it has Visitor"),
        ("import time\n", "Zzz", "it has none"),
    ],
)
def test_a_user_class_that_stands_nowhere_is_refused_before_a_cluster_starts(
    tmp_path, text, name, said
):
    file = tmp_path / "mine.py"
    file.write_text(text)

    with pytest.raises(UsageError, match=said):
        check_user_names([name], [file])


@pytest.mark.parametrize(
    "text",
    [
        USERS,
        "from theirs import Visitor\n",
        "from theirs import *\n",
        "for name in NAMES:\n    globals()[name] = made(name)\n",
    ],
)
def test_user_classes_that_a_locustfile_may_have_are_left_to_locust(tmp_path, text):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "mine.py").write_text(text)

    check_user_names(["Visitor"], [folder])
    check_user_names(["Visitor"], [tmp_path / "http:" / "host" / "mine.py"])
    check_user_names([], [folder])
