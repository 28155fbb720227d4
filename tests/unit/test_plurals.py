"""Numbers stand beside words of their number: `1 replica`, never `1 replicas`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalelag.wording import count
from tests.support.nouns import NOUNS

ROOT = Path(__file__).parents[2]
PACKAGES = ("scalelag", "locustfiles", "probes", "reports")
PLURAL = re.compile(rf"^ (?:more |other |further |load )?(?:{'|'.join(NOUNS)})\b(?!/)")
# Values that are words, fractions, or never 1.
NEVER_ONE = re.compile(
    r"_?(MOST|MAX)_\w+$|rate\(|side$|(report\.)?run\.repeat$|self\._deaths$|json\.dumps|measured$"
)


def test_a_number_has_the_word_of_its_number():
    assert [count(n, "replica") for n in (0, 1, 2, 1000)] == [
        "0 replicas",
        "1 replica",
        "2 replicas",
        "1,000 replicas",
    ]
    assert (count(1, "retry", "retries"), count(2, "retry", "retries")) == ("1 retry", "2 retries")


def bare_plurals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each number in an f-string with a plural beside it, whatever the number."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in zip(node.values, node.values[1:], strict=False):
            if (
                isinstance(value, ast.FormattedValue)
                and isinstance(text, ast.Constant)
                and PLURAL.match(text.value)
                and not NEVER_ONE.match(ast.unparse(value.value))
                and not _is_fraction(value)
            ):
                yield node.lineno, f"{ast.unparse(value.value)}{text.value[:24]}"


def _is_fraction(value: ast.FormattedValue) -> bool:
    spec = value.format_spec
    return spec is not None and bool(re.search(r"\.[1-9]f", ast.unparse(spec)))


def test_no_text_of_ours_has_a_plural_beside_a_number_that_may_be_1():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in bare_plurals(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('f"{n} replicas stayed"', 1),
        ('f"{n:,} more requests"', 1),
        ('f"{n:.1f} requests"', 0),
        ('f"{n:g} requests/s"', 0),
        ("f'{count(n, \"replica\")} stayed'", 0),
    ],
)
def test_a_bare_plural_is_found(source, found):
    assert len(list(bare_plurals(source))) == found
