"""`[[request]]` tables and `mix`: what they ask for, and what is refused, with the way out."""

import re
from pathlib import Path

import msgpack
import msgspec
import pytest

from scalelag.cli.run.config_file import Kind, read_options
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options
from scalelag.plugin.worker.messages import Assignment, encoded
from tests.unit.mix_cases import counts

FOUR = """
steps = "10rps:10s,20rps:10s"
mix = [{ ask = 7, list = 3 }, { ask = 1, "odd. \\"n\\"" = 1, x = 2 }]

[[request]]
name = "ask"
path = "/ask"
method = "post"
json-body = '{"a": 1}'
expect = "ok"

[[request]]
name = "list"
path = "list?token=s3cret"
header = ["Authorization: Bearer ${TOKEN}", "X-All: own"]

[[request]]
name = 'odd. "n"'
body-file = "body.bin"

[[request]]
name = "x"
path = "/{{ id }}"
data = "rows.csv"
model = "m1"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files, and not the current one."""
    (tmp_path / "body.bin").write_bytes(b"\x00\xff")
    (tmp_path / "rows.csv").write_text("id\n1\n2\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def asked(folder: Path, text: str, **given):
    path = folder / "mix.toml"
    path.write_text(text)
    return run_options({"requests": str(path), **given})


def test_a_mix_is_read_with_its_files_and_its_headers(folder):
    options = asked(
        folder, FOUR, steps="10rps:10s,20rps:10s", header=["X-All: all", "X-More: more"]
    )

    ask, listed, odd, x = options.requests
    assert [one.name for one in options.requests] == ["ask", "list", 'odd. "n"', "x"]
    assert (ask.method, ask.path, ask.body, ask.expect) == ("POST", "/ask", b'{"a": 1}', b"ok")
    assert listed.headers == (
        ("X-More", "more"),
        ("Authorization", "Bearer ${TOKEN}"),
        ("X-All", "own"),
    )
    assert odd.body == b"\x00\xff"
    assert x.payloads().of(1).path == "/2"
    assert x.models == ("m1",)
    assert x.name_with("m1") == "x"
    assert counts(options.schedule) == [(70, 30, 0, 0), (50, 0, 50, 100)]


def test_without_a_mix_by_stage_the_weights_hold_for_all_stages(folder):
    text = '[[request]]\nname = "a"\nweight = 3\n[[request]]\nname = "b"\n'

    options = asked(folder, text, steps="10rps:2s,20rps:1s")

    assert counts(options.schedule) == [(15, 5), (15, 5)]


def test_a_request_without_a_name_is_called_by_its_path_without_secrets(folder):
    options = asked(folder, '[[request]]\npath = "/a?key=1234"\n')

    assert [one.name for one in options.requests] == ["/a?key=(not recorded)"]


def test_each_request_may_have_arrivals_of_its_own(folder):
    text = '[[request]]\nname = "a"\narrivals = "poisson"\n[[request]]\nname = "b"\n'

    assert asked(folder, text).schedule.mix.arrivals == ("poisson", "constant")
    assert asked(folder, text, arrivals="poisson").schedule.mix.arrivals == ("poisson",) * 2


def test_the_record_has_weights_and_no_secrets(folder):
    options = asked(folder, FOUR, steps="10rps:10s,20rps:10s")

    recorded = options.recorded_mix()

    assert [(one.name, one.weights) for one in recorded] == [
        ("ask", (7.0, 1.0)),
        ("list", (3.0, 0.0)),
        ('odd. "n"', (0.0, 1.0)),
        ("x", (0.0, 2.0)),
    ]
    assert recorded[1].path == "/list?token=(not recorded)"
    assert "s3cret" not in str(recorded)
    assert len({one.sha256 for one in recorded}) == 4


def test_a_worker_gets_the_requests_and_their_turns(folder):
    options = asked(folder, FOUR, steps="10rps:10s,20rps:10s")
    share = options.for_share(0, 2)

    sent = msgpack.dumps(encoded(Assignment("run", 0.0, 0, 2, share)), use_bin_type=True)
    received = msgspec.convert(msgpack.loads(sent, raw=False), Assignment)

    assert received.options.requests == options.requests
    assert received.options.schedule == options.schedule.share(0, 2)


def test_a_missing_variable_of_any_request_is_told(folder):
    options = asked(folder, FOUR, steps="10rps:10s,20rps:10s")

    with pytest.raises(UsageError, match="TOKEN"):
        options.check_headers({})
    options.check_headers({"TOKEN": "x"})


ONE = '[[request]]\nname = "a"\n'
TWO = ONE + '[[request]]\nname = "b"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mix.toml: there is no [[request]]: begin each request with it"),
        ("request = 3", "there is no [[request]]"),
        ("[request]\npath = '/'", "there is no [[request]]"),
        ("request = []", "there are 0 [[request]] tables"),
        (ONE * 101, "there are 101 [[request]] tables: give at least one and at most 100"),
        ("mixx = [{a = 1}]\n" + ONE, 'there is no "mixx"; did you mean mix?'),
        (ONE + 'headers = ["A: b"]', 'mix.toml: [[request]] 1 "a": there is no key "headers"; did'),
        (ONE + "zzzz = 1", "there are name, header, model, weight"),
        (ONE + 'json-body = "1"\njson_body = "2"', "json_body is given twice"),
        (ONE + "path = 3", "path takes a text in quotes"),
        (ONE + 'header = "A: b"', "header takes a list of texts"),
        (ONE + 'path = "/a b"', '[[request]] 1 "a": path: "/a b": a path has no spaces'),
        (ONE + 'header = ["A b"]', '[[request]] 1 "a": header: "A ..": a header reads'),
        (ONE + 'header = ["X-Token: s3cret"]', "looks like a secret"),
        (ONE + "json-body = '{'", '[[request]] 1 "a": json-body: this is not JSON'),
        (ONE + "json-body = '1'\nbody-file = 'body.bin'", "json-body and body-file: give one"),
        (ONE + 'data = "no.csv"', "no.csv: No such file or directory"),
        (ONE + 'body-file = "a\\u0000b"', "body-file has a NUL"),
        (ONE + 'data = "rows.csv"\npath = "/{{ no }}"', "and data has no such column: it has id"),
        (ONE + 'model = "a,b"', 'model "a,b": give one model'),
        (ONE + 'arrivals = "evenly"', "arrivals evenly: choose constant or poisson"),
        (
            ONE + "weight = 0",
            '[[request]] 1 "a": weight 0: give a number from 0.000001 to 1,000,000',
        ),
        (ONE + "weight = -1", "weight -1: give a number"),
        (ONE + "weight = nan", "weight nan: give a number"),
        (ONE + "weight = inf", "weight inf: give a number"),
        (ONE + f"weight = 1{'0' * 400}", "give a number"),
        (
            ONE + 'weight = "3"',
            'weight "3": give a number from 0.000001 to 1,000,000, without quotes',
        ),
        (ONE + "weight = true", "weight True: give a number"),
        (ONE + ONE, '[[request]] 2 "a": number 1 has this name, too'),
        ('[[request]]\nname = ""', 'name "": give up to 100 characters'),
        ('[[request]]\nname = " a"', "no spaces at the ends"),
        ('[[request]]\nname = "a\\tb"', "name has a line break or another control character"),
        (f'[[request]]\nname = "{"a" * 101}"', "give up to 100 characters"),
        ("mix = 3\n" + ONE, "mix takes a list of tables, one for each stage"),
        ("mix = []\n" + ONE, "mix takes a list of tables"),
        (
            "mix = [{aa = 1}]\n" + ONE,
            'mix of stage 1: there is no [[request]] "aa"; did you mean a?',
        ),
        ("mix = [{a = 1}, {a = 0}]\n" + ONE, "mix of stage 2: no request has a weight above 0"),
        ("mix = [{}]\n" + ONE, "mix of stage 1: no request has a weight above 0"),
        ("mix = [{a = nan}]\n" + ONE, "mix of stage 1: weight nan: give a number from 0"),
        ("mix = [{a = -1}]\n" + ONE, "mix of stage 1: weight -1: give a number from 0"),
        ("mix = [{a = 1}]\n" + TWO, '[[request]] "b" has a weight in no stage of mix'),
        ("mix = [{a = 1}]\n" + ONE + "weight = 2", 'weight of [[request]] "a" and mix: give one'),
        ("mix = [{a = 1}, {a = 1}]\n" + ONE, "mix has weights for 2 stages, and --steps has 3"),
        ("a = ", "mix.toml is not TOML"),
    ],
)
def test_a_mix_that_cannot_be_sent_is_refused_with_its_place(folder, text, said):
    with pytest.raises(UsageError) as refused:
        asked(folder, text)

    assert said in str(refused.value)
    assert "mix.toml" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"path": "/a"},
        {"method": "POST"},
        {"json_body": "1"},
        {"body_file": "body.bin"},
        {"data": "rows.csv"},
        {"models": "a"},
        {"expect": "ok"},
        {"prompt_tokens": "100"},
        {"sessions": 3},
        {"session_header": "X-Talk"},
    ],
)
def test_an_option_for_one_request_beside_the_tables_is_refused(folder, given):
    flag = f"--{next(iter(given)).replace('_', '-')}"

    with pytest.raises(UsageError, match=rf"{flag} and the \[\[request\]\] tables of .*mix.toml"):
        asked(folder, ONE, **given)


def test_weights_by_stage_need_stages(folder):
    text = "mix = [{a = 1}, {a = 1}]\n" + ONE
    (folder / "trace.csv").write_text("arrival_s\n0\n1\n")

    with pytest.raises(
        UsageError, match="mix has weights for the stages of --steps, and there are"
    ):
        asked(folder, text, trace=str(folder / "trace.csv"))
    path = str(folder / "mix.toml")
    with pytest.raises(UsageError, match="stages of --steps, and there are none"):
        run_options({"requests": path}, shape="Waves")


def test_poisson_arrivals_of_a_request_do_not_go_with_arrival_times(folder):
    (folder / "trace.csv").write_text("arrival_s\n0\n1\n")

    with pytest.raises(UsageError, match='arrivals of \\[\\[request\\]\\] "a": the trace holds'):
        asked(folder, ONE + 'arrivals = "poisson"', trace=str(folder / "trace.csv"))


@pytest.mark.parametrize("shape", [None, "Waves"])
def test_poisson_arrivals_of_a_request_do_not_go_with_users(folder, shape):
    (folder / "mix.toml").write_text(ONE + 'arrivals = "poisson"')
    given = {"requests": str(folder / "mix.toml")} | ({} if shape else {"steps": "2users:1s"})

    with pytest.raises(
        UsageError, match='arrivals of \\[\\[request\\]\\] "a": the plan is in users'
    ):
        run_options(given, shape=shape)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[[request]]\npath = "/a/{{ id }}"', r"path has \{\{ id \}\}, and nothing fills it in"),
        (
            '[[request]]\npath = "/a/{{ id }}"\ndata = "d.csv"\nheader = ["X-Id: {{ id }}"]',
            r"header X-Id has \{\{ id \}\}: columns of data fill in path and body only",
        ),
    ],
)
def test_columns_that_nothing_fills_in_are_refused(folder, text, match):
    (folder / "d.csv").write_text("id\n1\n")

    with pytest.raises(UsageError, match=match):
        asked(folder, text)


KINDS = {"steps": Kind.ONE, "requests": Kind.ONE, "header": Kind.SEVERAL}


@pytest.mark.parametrize("name", ["scalelag.toml", "pyproject.toml"])
def test_tables_in_the_file_of_options_are_the_requests_of_the_run(folder, name):
    head = "[tool.scalelag]\n" if name == "pyproject.toml" else ""
    text = FOUR.replace("[[request]]", "[[tool.scalelag.request]]") if head else FOUR
    (folder / name).write_text(head + text)

    options = read_options(folder / name, KINDS)

    assert options == {"steps": "10rps:10s,20rps:10s", "requests": str(folder / name)}
    assert len(run_options(options).requests) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('requests = "a.toml"\n' + ONE, "requests and [[request]]: give one of the two"),
        ("[[reqest]]\nname = 'a'\n", 'there is no option "reqest"; did you mean request'),
    ],
)
def test_tables_that_the_file_of_options_cannot_have_are_refused(folder, text, said):
    (folder / "scalelag.toml").write_text(text)

    with pytest.raises(UsageError) as refused:
        read_options(folder / "scalelag.toml", KINDS)

    assert said in str(refused.value)


def test_the_mix_in_the_docs_is_one_that_can_be_sent(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "users.md").read_text()
    (tmp_path / "questions.csv").write_text("question\nwhy?\n")
    (tmp_path / "long.txt").write_text("x" * 1000)
    [text] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    options = asked(tmp_path, text, steps="100rps:30s,500rps:60s,100rps:60s", seed=1)

    ask, listed, long_text, small = zip(*counts(options.schedule), strict=True)
    assert (ask, listed, long_text) == ((2100, 12000, 0), (900, 9000, 6000), (0, 6000, 0))
    assert sum(small) == pytest.approx(3000, abs=300)


@pytest.mark.parametrize("name", ["nowhere.toml", ".", "a\0b"])
def test_a_file_that_is_not_there_is_named_with_its_option(folder, name):
    with pytest.raises(UsageError, match=r"--requests .*: there is no such file"):
        run_options({"requests": f"{folder}/{name}"})
