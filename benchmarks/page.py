"""Copy tables of the newest file in benchmarks/results/ into docs/benchmarks.md.

The page marks each place with `<!-- table: HEADING -->`, or `<!-- table: HEADING / WORDS -->` for
only the rows that hold WORDS. Run it after a new file was put there: `python -m benchmarks.page`.
"""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
_PLACE: Final = re.compile(
    r"(<!-- table: (?P<heading>[^/>]+?)(?: / (?P<words>[^>]+?))? -->\n).*?(<!-- end of table -->)",
    re.DOTALL,
)


def main() -> None:
    """Write the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), newest()), encoding="utf-8")


def newest() -> str:
    """Return the text of the newest results; the files are named by their date."""
    return max(RESULTS.glob("*.md")).read_text(encoding="utf-8")


def filled(page: str, results: str) -> str:
    """Return `page` with the tables of `results` in their places."""

    def place(match: re.Match[str]) -> str:
        rows = _table(results, match["heading"], match["words"] or "")
        return f"{match[1]}\n{rows}\n\n{match[4]}"

    return _PLACE.sub(place, page)


def _table(results: str, heading: str, words: str) -> str:
    section = results.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    if table is None:
        raise ValueError(f'the results have no table under "{heading}"')
    head, rule, *rows = table[0].splitlines()
    return "\n".join([head, rule, *(row for row in rows if words in row)])


if __name__ == "__main__":
    main()
