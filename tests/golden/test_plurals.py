"""No report says `1 replicas`, `0 none` or the like, in any format."""

import re

import msgspec
import pytest

from reports.model.formats import Format
from reports.render.formats import Rendering, render
from tests.golden.expected_files import EXPECTED
from tests.support.nouns import NOUNS

WRONG = re.compile(rf"(?<![\d.,:/_-])1 (?:more |other )?(?:{'|'.join(NOUNS)})\b(?!/)|\b\d+ none\b")


def wrong(text):
    return [match[0] for match in WRONG.finditer(text)]


def test_no_stored_report_has_a_plural_of_one():
    files = [path for path in EXPECTED.rglob("*") if path.is_file()]

    found = {path.name: wrong(path.read_text()) for path in files}

    assert {name: texts for name, texts in found.items() if texts} == {}


def of_ones(part):
    """The same report with 1 in place of each whole number, but for those that number its parts."""
    if isinstance(part, dict):
        return {key: one if key == "index" else of_ones(one) for key, one in part.items()}
    if isinstance(part, list):
        return [of_ones(one) for one in part]
    return 1 if isinstance(part, int) and not isinstance(part, bool) else part


@pytest.mark.parametrize("name", ["busy", "calm", "interrupted", "traced"])
@pytest.mark.parametrize("form", [Format.TERMINAL, Format.MARKDOWN, Format.HTML, Format.JUNIT])
def test_no_report_of_ones_has_one(sample, name, form):
    analysis = sample(name)
    report = msgspec.convert(of_ones(msgspec.to_builtins(analysis.report)), type(analysis.report))

    rendered = render(Rendering(msgspec.structs.replace(analysis, report=report), "runs/a"), form)

    assert wrong(re.sub(r"<script.*?</script>", "", rendered.decode(), flags=re.DOTALL)) == []
