"""docs/troubleshooting.md quotes messages that the code really has."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
FOLDERS = ("scalelag", "probes", "reports")
HEADING = re.compile(r"^### (?:\d+: )?`(.+)`$", re.MULTILINE)
LISTED = re.compile(r"^- `([a-z][^`]+)`(?: or `([^`]+)`)?:", re.MULTILINE)
WORDS = re.compile(r"\w+")


def code_texts() -> str:
    """All string constants of the code, each f-string joined to one with … for its values."""
    texts: list[str] = []
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    texts.append("".join(piece_of(piece) for piece in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts)


def piece_of(piece: ast.expr) -> str:
    return str(piece.value) if isinstance(piece, ast.Constant) else "…"


def quoted(page: str) -> list[str]:
    """Fragments of messages in headings and lists, cut where a value stands, and after a sentence."""
    messages = [*HEADING.findall(page), *(text for pair in LISTED.findall(page) for text in pair)]
    fragments = [part.strip(" .:") for text in messages for part in re.split(r"…|\. ", text)]
    return [fragment for fragment in fragments if WORDS.search(fragment)]


def test_every_message_that_the_page_quotes_is_one_of_the_code():
    fragments = quoted(PAGE.read_text(encoding="utf-8"))
    texts = code_texts()

    assert len(fragments) > 20
    assert [fragment for fragment in fragments if fragment not in texts] == []


def test_a_quote_is_cut_where_a_value_stands():
    page = '### `no target "…": try … again`\n\n- `it was gone` or `lost`: wait\n- **Words**: no\n'

    assert quoted(page) == ['no target "', '": try', "again", "it was gone", "lost"]
