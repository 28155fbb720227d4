"""The table of causes in docs/diagnosis.md is that of the rules."""

from typing import get_args

from reports.analysis.diagnosis.weigh import RULES
from reports.model.causes import Cause
from reports.render.text import cause_words
from tools.cause_page import PAGE, page


def test_the_table_of_causes_is_current():
    text = PAGE.read_text(encoding="utf-8")

    assert page(text) == text


def test_every_cause_has_a_rule_and_words():
    causes = set(get_args(Cause))

    assert {rule.cause for rule in RULES} == causes
    assert not [cause for cause in causes if "_" in cause_words(cause).replace("max_replicas", "")]
