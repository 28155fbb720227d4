"""Path and body of each request: as they are, or templates filled from rows."""

from pathlib import Path
from types import SimpleNamespace

import msgpack
import msgspec
import pytest

from scalelag.errors import UsageError
from scalelag.options.request_spec import asked_request, read_files
from scalelag.options.request_templates import Payload, Payloads, read_rows
from scalelag.options.run_options import run_options
from scalelag.plugin.worker.messages import Assignment, decoded, encoded

ROWS = ({"text": 'say "hi"', "id": "7"}, {"text": "größer", "id": "a b"})
VALUES = {
    "method": "POST",
    "path": "/predict",
    "header": (),
    "json_body": None,
    "body_file": None,
    "data": None,
    "models": None,
    "expect": None,
    "request_timeout": 5.0,
}


def asked(files=None, **values):
    return asked_request(VALUES | values, files or {})


def test_without_rows_every_request_is_the_same_and_nothing_is_a_template():
    payloads = Payloads("/{{id}}", b"{{ text")

    assert payloads.of(0) == payloads.of(7) == Payload("/{{id}}", b"{{ text")


def test_rows_fill_path_and_body_in_turn():
    payloads = Payloads("/items/{{ id | urlencode }}", b'{"text": {{ text | tojson }}}', ROWS)

    found = [payloads.of(number) for number in range(3)]

    first = Payload("/items/7", b'{"text": "say \\"hi\\""}')
    assert found == [first, Payload("/items/a%20b", b'{"text": "gr\\u00f6\\u00dfer"}'), first]


@pytest.mark.parametrize(
    "text",
    [
        "{{ cycler.__init__.__globals__ }}",
        "{{ row.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ row.clear() }}",
    ],
)
def test_a_template_reaches_nothing_but_its_row(text):
    payloads = Payloads("/", text.encode(), ({"text": "a"},))

    with pytest.raises(UsageError, match=r"--data row 1 makes no request: .* unsafe"):
        payloads.check(is_json=False)


def test_the_whole_row_can_be_the_body():
    payloads = Payloads("/", b"{{ row | tojson }}", ({"a": 1, "b": [2]},))

    assert payloads.of(0).body == b'{"a": 1, "b": [2]}'


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "/{{ it }}",
            None,
            r"--path names \{\{ it \}\}, and --data has no such column: .* id, text",
        ),
        ("/", b"{{ it }}", r"the body names \{\{ it \}\}"),
        ("/{{ id", None, "--path is not a valid template"),
        ("/", b"\xff", "the body is a template, so it must be UTF-8"),
    ],
)
def test_a_template_that_fits_no_row_is_refused(path, body, said):
    with pytest.raises(UsageError, match=said):
        Payloads(path, body, ROWS)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/{{ id }}", None, 'row 2 makes the path "/a b", which has a space'),
        ("/", b'{"text": "{{ text }}"}', "row 1 makes no request"),
        ("/", b"{{ text.a.b | tojson }}", "row 1 makes no request"),
    ],
)
def test_a_row_that_makes_no_request_is_named(path, body, said):
    with pytest.raises(UsageError, match=said):
        Payloads(path, body, ROWS).check(is_json=True)


def test_rows_that_nothing_is_taken_from_are_refused_with_their_columns():
    with pytest.raises(UsageError, match=r"neither path nor body names a column.* id, text\."):
        Payloads("/ask", b"{% if 1 %}x{% endif %}", ROWS).check_use()
    for path, body in (("/{{ id }}", None), ("/", b"{{ row | tojson }}")):
        Payloads(path, body, ROWS).check_use()


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", b'id,text\n1,one\n2,"two, three"\n', [("1", "one"), ("2", "two, three")]),
        ("a.CSV", "\ufeffid,text\r\n1,ä\r\n".encode(), [("1", "ä")]),
        ("a.jsonl", b'{"id": 1, "text": "x"}\n\n{"text": "y", "id": 2}\n', [(1, "x"), (2, "y")]),
        ("a.ndjson", b'{"id": 1, "text": "x"}', [(1, "x")]),
        ("a.jsonl", '{"id": 1, "text": "x\u2028y\x85"}\r\n'.encode(), [(1, "x\u2028y\x85")]),
        ("a.csv", b"id, text ,,\n1,x,,\n2, y ,,3\n", [("1", "x"), ("2", " y ")]),
    ],
)
def test_rows_of_a_file(name, content, rows):
    found = read_rows(Path(name), content)

    assert [(row["id"], row["text"]) for row in found] == rows
    assert {name for row in found for name in row} == {"id", "text"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"id\n1\n", "give a .csv, .jsonl or .ndjson file"),
        ("a.csv", b"id,text\n1,one\n2\n", "line 3: the number of columns is not 2"),
        ("a.csv", b"id,text\n1,one,two\n", "line 2: the number of columns is not 2"),
        ("a.csv", b'id\n"1\n', "after line 1"),
        ("a.csv", b"id,text\n", "no rows"),
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.csv", b" \r\n\t\n", "the file is empty"),
        ("a.csv", b",,,", "the first line names no column"),
        ("a.csv", b",,,\n,,,\n", "the first line names no column"),
        ("a.csv", b"\nid,text\n1,one\n", "the first line names no column"),
        ("a.csv", b"id, id\n1,2\n", 'two columns are named "id"'),
        ("a.jsonl", b"\n \n", "the file is empty"),
        ("a.jsonl", b",,,\n", "line 1: not a JSON object"),
        ("a.jsonl", b"{}\n{}\n", "the first row has no values with a name"),
        ("a.csv", b"id\n\xff\n", "not UTF-8"),
        ("a.csv", b"id\n" + b"1\n" * 100_001, "more than 100,000 rows"),
        ("a.jsonl", b'{"id": 1}\n[1]\n', "line 2: not a JSON object"),
        ("a.jsonl", b'{"id": 1}\n\n{"id": \n', "line 3: not a JSON object"),
        ("a.jsonl", b'{"id": 1}\n{"id": NaN}\n', "line 2: not a JSON object"),
        ("a.jsonl", b'{"id": 1e999}\n', "line 1: not a JSON object: Number out of range"),
        ("a.jsonl", b'{"id": [18446744073709551616]}', "line 1: an integer has more than 64 bits"),
        ("a.jsonl", b'{"id": -9223372036854775809}', "line 1: .* write it in quotes, as text"),
        ("a.jsonl", b'{"id": ' + b"[" * 101 + b"]" * 101 + b"}", "line 1: .* more than 100 deep"),
        ("a.jsonl", b'{"id": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "line 1: not a JSON object"),
    ],
)
def test_a_file_of_no_rows_is_refused_by_line(name, content, said):
    with pytest.raises(UsageError, match=said):
        read_rows(Path(name), content)


def test_a_field_may_be_as_long_as_a_prompt():
    (row,) = read_rows(Path("a.csv"), b"prompt\n" + b"x" * 500_000 + b"\n")

    assert len(row["prompt"]) == 500_000


def test_rows_at_the_limits_reach_a_worker_as_they_are():
    content = b'{"id": [18446744073709551615, -9223372036854775808, 1.5e308]}\n{"id": '
    rows = read_rows(Path("a.jsonl"), content + b"[" * 100 + b"]" * 100 + b"}")
    options = run_options({}).for_share(0, 1)
    request = msgspec.structs.replace(options.request, rows=rows)
    options = msgspec.structs.replace(options, requests=(request,))

    sent = msgpack.dumps(encoded(Assignment("run", 0.0, 0, 1, options)), use_bin_type=True)
    data = msgpack.loads(sent, raw=False, strict_map_key=False)

    assert decoded(SimpleNamespace(data=data), Assignment).options.request.rows == rows


def test_files_are_read_once_by_whoever_leads(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"id\n1\n")

    assert read_files(VALUES | {"data": str(file)}) == {"data": b"id\n1\n"}
    with pytest.raises(UsageError, match=r"--body-file .*nowhere: No such file"):
        read_files(VALUES | {"body_file": str(tmp_path / "nowhere")})


def test_the_request_of_the_options():
    spec = asked(
        {"data": b"id\n1\n"}, data="rows.csv", json_body='{"id": {{ id }}}', models=("a", "b", "a")
    )

    assert (spec.method, spec.path, spec.body) == ("POST", "/predict", b'{"id": {{ id }}}')
    assert spec.headers == (("Content-Type", "application/json"),)
    assert spec.models == ("a", "b", "a")
    assert spec.payloads().of(0).body == b'{"id": 1}'


@pytest.mark.parametrize(
    ("values", "files", "said"),
    [
        ({"json_body": '{"id": {{ id }}}'}, {}, "--json-body: this is not JSON"),
        ({"json_body": "1"}, {"body_file": b""}, "give one of the two"),
        ({"data": "x.csv", "path": "/{{ no }}"}, {"data": b"id\n1\n"}, "no such column"),
    ],
)
def test_options_that_make_no_request_are_refused(values, files, said):
    with pytest.raises(UsageError, match=said):
        asked(files, **values)
