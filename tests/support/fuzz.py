"""Odd inputs for commands that run in this process, and the check of how each command ended.

`SCALELAG_FUZZ_S=600` (`make fuzz`) goes on for that long with seeds of its own; `make test` takes the
same few cases each time.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from scalelag.cli.main import app

BUDGET_S: Final = float(os.environ.get("SCALELAG_FUZZ_S", "0"))
TESTS: Final = 11
"""Tests that share the budget: those that draw from `rounds`."""
STORED: Final = Path(__file__).parents[1] / "golden" / "stored"
CODES: Final = {0, 1, 2, 3, 4, 5, 130}
ODD: Final = (
    *("", " ", "-", "--", "\n", "a\r\nb: c", "\t", "ä€😀", "\u202e", "\x1b[31m"),
    *("{{", "{{ 1 / 0 }}", "{{ a[0] }}", "{% for %}", "{{ 'x' * 9**9 }}"),
    *(
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "9" * 400,
        "1_000",
        "0x10",
        "true",
        "null",
        "[]",
        "{}",
        "٣",
    ),
    *("[" * 5000, '{"a":' * 3000, "../..", "/", "/dev/null", "/nowhere/x", "a" * 5000),
    *("a:b", ":", "@", "a/b:c", "1..2", "..", "2..1", "0..0", "1..1e9", "0s", "1m", "-5s", "9e9h"),
    *("http://", "http://[", "http://u:p@h:1/", "ftp://h", "http://h:99999", "http://h:0", "//h"),
    *("10rps:1s", "1..rps:1s", "10rps", "rps:", ",,,", "10rps:1s,1users:1s", "1e9rps:9h"),
    *("0rps:1s", "3users:2s", "p95<1ms", "ttft<1ms", "itl<0s", "p95<", "p101<1s", "p95<1e400s"),
    *("scale_up.total_s.max <= 1", "x <= 1", "a b:scale_up.total_s.max <= 1e9", "none"),
    *("load.steps.*.latency_p99_ms < 1", 'load.names."', 'requests.names."a\\".failed <= 0'),
    *("${HOME}", "${", "%", "Name: value", "Name:", ": v", "Cookie: x", "X: ${NOT_THERE}"),
    *("/a b", "a,b", "x.y/z", "h:1", "http://[::1]:1", "60s: kill 2 replicas of app/D"),
)
CONTENT: Final = (
    *(b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"a,b\n1", b"a\n", b"\n\n", b"{}", b"[]", b"null"),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"a = [" * 2000, b"- " * 5000, b"{a: " * 2000, b"a: b: c"),
    *(b"tool = 3", b"[tool]\nscalelag = 3", b'steps = "\\u0000"', b"[tool.scalelag]\nsteps = 3"),
    *(b'out = "a\\u0000b"', b"gate = 3", b"x = 1", b"locustfile = [3]", b"&a [*a]"),
    *(b"!!python/x y", b"time_s,rps\n0,1\n0,1\n", b"arrival_s\n1e999\n", b"arrival_s\n2\n1\n"),
    *(b'a\n"', b"class (:\n", b"applications: 3", b"applications: [3]", b"x" * 200_000),
    *(b"applications: [{import_path: 3}]", b"[[request]]\n", b"request = 3", b"mix = [{}]"),
)
VALUES: Final = (
    *(None, -1, 0, 1e300, -1e-300, "x", "", [], {}, True, False, 2**70, [[[]]], [1, "a"]),
    *({"a": {"b": 1}}, "😀", "1", 1.5, [{}], "nan", "default/Sleeper", "a" * 10_000),
)


def invoke(*arguments: str) -> int:
    """Run a command, and return its exit code. Raises AssertionError if it is none of ours.

    So does an error that the command let through; it has its traceback.
    """
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(shown(arguments)) from result.exception
    assert result.exit_code in CODES, (shown(arguments), result.output)
    assert "Traceback" not in result.output, (shown(arguments), result.output)
    return result.exit_code


def shown(arguments: tuple[str, ...]) -> list[str]:
    """Return the arguments, long ones cut."""
    return [one if len(one) < 200 else f"{one[:100]}... ({len(one)})" for one in arguments]


def rounds(least: int, first: int = 0) -> Iterator[random.Random]:
    """Yield a generator for each of some seeds, then for new ones until the budget is spent."""
    yield from map(random.Random, range(first, first + least))
    until_s, seed = time.monotonic() + BUDGET_S / TESTS, random.randrange(2**40)
    while time.monotonic() < until_s:
        seed += 1
        yield random.Random(seed)


def odd(draw: random.Random) -> str:
    """Return an odd text."""
    text = draw.choice(ODD)
    return text + draw.choice(ODD) if draw.random() < 0.3 else text


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Return the content cut, with flipped bits, with other text in it, or replaced as a whole."""
    kind = draw.random()
    if kind < 0.15:
        return content[: draw.randrange(len(content) + 1)]
    if kind < 0.2:
        return draw.choice(CONTENT)
    if kind < 0.4:
        at = draw.randrange(len(content) + 1)
        return content[:at] + odd(draw).encode() + content[at:]
    found = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 5, 50])):
        if found:
            found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def damaged_text(draw: random.Random, text: str) -> bytes:
    """Return a table or a configuration: a word replaced, a line too many or too few, or damaged."""
    kind = draw.random()
    lines = text.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    if kind < 0.2:
        return damaged(draw, text.encode())
    if kind < 0.4:
        return "".join([*lines[: at + 1], *lines[at:]]).encode()
    if kind < 0.5:
        return "".join(lines[:at] + lines[at + 1 :]).encode()
    for separator in draw.sample((",", "=", ":", '"', " "), 5):
        parts = lines[at].split(separator)
        if len(parts) > 1:
            parts[draw.randrange(len(parts))] = odd(draw)
            lines[at] = separator.join(parts)
            break
    return "".join(lines).encode()


def changed_json(draw: random.Random, content: bytes) -> bytes:
    """Return the JSON with one value in it replaced by another kind of value, or taken out."""
    whole: Any = json.loads(content)
    at = whole
    while isinstance(at, dict | list) and at:
        key = draw.choice(list(at)) if isinstance(at, dict) else draw.randrange(len(at))
        if draw.random() < 0.3 or not isinstance(at[key], dict | list) or not at[key]:
            if draw.random() < 0.15:
                del at[key]
            else:
                at[key] = draw.choice(VALUES)
            break
        at = at[key]
    return json.dumps(whole).encode()


def changed_lines(draw: random.Random, content: bytes) -> bytes:
    """Return JSON Lines of which one is changed, doubled elsewhere, or some are missing."""
    lines = content.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    kind = draw.random()
    if kind < 0.7:
        lines[at] = changed_json(draw, lines[at]) + b"\n"
    elif kind < 0.85:
        lines.insert(draw.randrange(len(lines)), lines[at])
    else:
        del lines[at : at + draw.choice([1, 10, 1000])]
    return b"".join(lines)


def changed(draw: random.Random, name: str, content: bytes) -> bytes:
    """Return the content of a file of a record, changed in a way of its kind, or damaged."""
    if draw.random() < 0.35 or not content:
        return damaged(draw, content)
    if name.endswith(".json"):
        return changed_json(draw, content)
    return changed_lines(draw, content) if name.endswith(".jsonl") else damaged(draw, content)
