"""Options that no machine can hold are refused before the load, with their size."""

import os
from pathlib import Path

import pytest

from scalelag.errors import UsageError
from scalelag.options.request_templates import Payloads
from scalelag.options.run_options import run_options
from scalelag.plan.stages import MAX_REQUESTS, parse_plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1000000rps:9999h", "35,996,400,000,000 requests"),
        ("0..1000000rps:201s", "100,500,000 requests"),
        ("1000000users:10s", "1,000,000 users"),
        ("1rps:745h", "31.0 days"),
        ("0rps:1s,1users:1s", "one plan has one unit"),
        ("1rps:" + "9" * 80 + "h", "requests, more than"),
        ("1rps:" + "9" * 400 + "h", "too long"),
        ("1" * 5000 + "rps:1s", "too long"),
    ],
)
def test_a_plan_that_no_machine_can_hold_is_refused_with_its_size(text, said):
    with pytest.raises(UsageError, match=said):
        parse_plan(text)


def test_repeats_count():
    assert parse_plan("1000rps:1000s", 100).expected_requests == MAX_REQUESTS
    with pytest.raises(UsageError, match="101,000,000 requests"):
        parse_plan("1000rps:1000s", 101)


def test_a_trace_of_rates_is_bounded_as_a_plan_is(tmp_path):
    trace = tmp_path / "t.csv"
    trace.write_text("time_s,rps\n0,1000000\n100000,1000000\n")

    with pytest.raises(UsageError, match="200,000,000,000 requests"):
        run_options({"trace": str(trace)})


DOUBLED = (
    "{% set n = namespace(x='x' * 1000) %}"
    "{% for i in range(60) %}{% set n.x = DOUBLE %}{% endfor %}{{ n.x }}"
)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ [1] * 10000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ 'x' | center(10000000000) }}",
        "{{ 'x'.zfill(10000000000) }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{{ 'x' | indent(10000000000) }}",
        DOUBLED.replace("DOUBLE", "n.x ~ n.x"),
        DOUBLED.replace("DOUBLE", "n.x + n.x"),
        DOUBLED.replace("DOUBLE", "n.x | replace('x', 'xx')"),
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ range(99999) | map('string') | map('center', 99999) | join }}",
        "{{ text | replace('x', 'a' * 999999) | replace('a', 'b' * 999999) }}",
        "{{ ('x' * 999999).replace('x', 'a' * 999999) }}",
        "{{ range(99999) | join('x' * 999999) }}",
        "{{ ('x' * 999999).join(range(99999) | map('string')) }}",
        "{{ ('\\t' * 999999).expandtabs(999999) }}",
        "{{ ('\\n' * 999999) | indent(999999) }}",
    ],
)
def test_a_template_that_would_freeze_the_page_is_refused(template):
    with pytest.raises(UsageError, match=r"row 1 makes no request|not a valid template"):
        Payloads("/", template.encode(), [{"text": "x"}]).check(is_json=False)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{ text | tojson }} {{ row | length }}", '"x" 1'),
        ("{% for i in range(3) %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/3 2/3 3/3 "),
        ("{{ text * 3 ~ 2 ** 8 ~ 7 % 4 }}", "xxx2563"),
        ("{{ text | upper | center(5) }}", "  X  "),
        ("{{ [3, 1, 2] | sort | join(',') }}", "1,2,3"),
        ("{{ range(3) | map('string') | join }}", "012"),
        ("{{ {'a': [1]} | tojson }}", '{"a": [1]}'),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{% for i in [1, 2, 3] if i > 1 %}{{ i }}{% else %}-{% endfor %}", "23"),
        ("{{ [1, 2, 3] | select('odd') | list }}", "[1, 3]"),
        ("{{ text | default('y') }}{{ [2, 1] | first }}{{ 'a b' | urlencode }}", "x2a%20b"),
    ],
)
def test_usual_templates_work(template, filled):
    payloads = Payloads("/", template.encode(), [{"text": "x"}])

    assert payloads.of(0).body == filled.encode()


def test_files_are_bounded_too(tmp_path, monkeypatch):
    monkeypatch.setattr("scalelag.options.request_spec._MAX_FILE_BYTES", 10)
    body = tmp_path / "body"
    body.write_bytes(b"x" * 11)

    with pytest.raises(UsageError, match=r"--body-file .* 11 bytes, more than 10"):
        run_options({"body_file": str(body)})


@pytest.mark.parametrize(
    ("name", "steps"),
    [("data", "1rps:1s"), ("body_file", "1rps:1s"), ("calibration", "2replicas:9s")],
)
@pytest.mark.parametrize("path", ["pipe", "/dev/zero"])
def test_a_pipe_or_a_device_is_no_file_to_read(tmp_path, name, steps, path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="it is no file"):
        run_options({name: str(tmp_path / path), "steps": steps})


@pytest.mark.parametrize("name", ["data", "body_file", "trace"])
def test_a_nul_in_the_name_of_a_file_is_a_usage_error(name):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}"):
        run_options({name: str(Path("a\0b"))})
