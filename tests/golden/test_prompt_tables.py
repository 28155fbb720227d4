"""Lengths of prompts, tokenizer and sessions, in each format of a report."""

import json

import msgspec
import pytest

from reports.model.charts import Analysis
from reports.model.formats import Format
from reports.model.prompts import PromptReport, SessionReport
from reports.render.formats import Rendering, render
from tests.support.built.samples import busy

MADE = PromptReport(
    requests=180,
    counted_by="<gpt> (tiktoken 0.14.0)",
    prompt_tokens_asked_p50=1234.0,
    prompt_tokens_asked_p95=5678.0,
    prompt_tokens_p50=1240.0,
    prompt_tokens_p95=None,
    sessions=SessionReport(48, 180, 4, 99, 12.5, 678.9, 1234.5),
)


@pytest.fixture
def analysis() -> Analysis:
    found = busy()
    load = msgspec.structs.replace(found.report.load, prompts=MADE)
    return msgspec.structs.replace(found, report=msgspec.structs.replace(found.report, load=load))


@pytest.mark.parametrize("kind", [Format.TERMINAL, Format.MARKDOWN, Format.HTML])
def test_lengths_tokenizer_and_waits_are_shown(analysis, kind):
    shown = render(Rendering(analysis, "runs/x"), kind).decode()

    assert "180 prompts" in shown
    assert "tiktoken 0.14.0" in shown
    for figure in ("1,234", "5,678", "1,240", "678.9", "1,234.5"):
        assert figure in shown
    assert ("<gpt>" in shown) == (kind is Format.TERMINAL)


def test_report_json_has_the_same_figures(analysis):
    shown = json.loads(render(Rendering(analysis, "runs/x"), Format.JSON))

    found = shown["load"]["prompts"]
    assert (found["prompt_tokens_asked_p50"], found["prompt_tokens_p95"]) == (1234, None)
    assert found["sessions"]["waited"] == 99
