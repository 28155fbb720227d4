"""Serve config files: what is in them and cannot be sent to Serve is named before anything starts."""

import pytest

from scalelag.cluster.apps import read_config
from scalelag.errors import UsageError


def config(args: str) -> str:
    return f"applications:\n- name: a\n  import_path: m:app\n  args: {args}\n"


def test_values_of_json_are_taken(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(config("{a: [1, 2.5, null, true, x], b: {c: '2024-01-01'}}"))

    (app,) = read_config(path)

    assert app["args"] == {"a": [1, 2.5, None, True, "x"], "b": {"c": "2024-01-01"}}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("{when: 2024-01-01}", "'2024-01-01', a date (in quotes it would be a text)"),
        ("{when: 2024-01-01T10:00:00}", "a datetime"),
        ("!!set {a, b}", "a set"),
        ("{b: !!binary aGk=}", "a bytes"),
        ("{f: .nan}", "the number nan"),
        ("{f: -.inf}", "the number -inf"),
        ("{2024-01-01: x}", "a date"),
        ("&x {again: *x}", "more than 1,000,000 values (an alias within itself?)"),
    ],
)
def test_what_serve_cannot_be_sent_is_named(tmp_path, args, said):
    path = tmp_path / "a.yaml"
    path.write_text(config(args))

    with pytest.raises(UsageError, match="which cannot be sent to Serve") as refused:
        read_config(path)

    assert said in str(refused.value)
