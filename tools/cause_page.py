"""Write the table of causes in docs/diagnosis.md from the rules of the diagnosis.

`python -m tools.cause_page`; a test checks that the page is current.
"""

import inspect
from pathlib import Path
from typing import Final

from reports.analysis.diagnosis.rule import Rule
from reports.analysis.diagnosis.weigh import RULES

PAGE: Final = Path(__file__).parents[1] / "docs" / "diagnosis.md"
BEGIN, END = "<!-- rules: python -m tools.cause_page -->", "<!-- end of rules -->"


def main() -> None:
    """Write the table."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page(text: str) -> str:
    """Return the text of the page with a current table."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = "\n".join(_row(rule) for rule in RULES)
    return f"{before}{BEGIN}\n\n| cause | signs |\n|---|---|\n{rows}\n\n{END}{after}"


def _row(rule: Rule) -> str:
    named = f", {rule.named}" if rule.named else ""
    signs = " ".join(_sentence(sign.__doc__) for sign in rule.signs)
    return f"| `{rule.cause}`{named} | {signs} |"


def _sentence(docstring: str | None) -> str:
    """Return the first sentence of a docstring on one line, codes marked as such."""
    return (
        inspect.cleandoc(docstring or "").splitlines()[0].replace("max_replicas", "`max_replicas`")
    )


if __name__ == "__main__":
    main()
