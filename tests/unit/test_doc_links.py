"""Links between the documents, and from the code to them, lead somewhere; every page can be reached."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE_FOLDERS = (
    "benchmarks", "locustfiles", "probes", "reports", "scalelag", "serve_apps", "tests", "tools",
)  # fmt: skip
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)|<img src=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
MENTION = re.compile(r"(docs/[\w./-]+?\.md)(#[\w-]+)?(?![\w-])")


def links_of(path: Path) -> Iterator[tuple[str, str]]:
    """File and anchor of each link of a document to a file of ours; the file is "" within the page."""
    for markdown, image in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        address = markdown or image
        if not re.match(r"[a-z]+:", address):
            file, _, anchor = address.partition("#")
            yield unquote(file), anchor


def anchors_of(path: Path) -> set[str]:
    """Anchors that GitHub gives the headings of a page."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {anchor_of(heading) for heading in HEADING.findall(text)}


def anchor_of(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading.lower()))
    return kept.replace(" ", "-")


def resolves(file: Path, anchor: str) -> bool:
    if not file.exists():
        return False
    return not anchor or anchor in anchors_of(file)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(path: Path):
    broken = [
        f"{file}#{anchor}"
        for file, anchor in links_of(path)
        if not resolves(path.parent / file if file else path, anchor)
    ]

    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached:
            reached.add(page)
            linked = {(page.parent / file).resolve() for file, _ in links_of(page) if file}
            todo += [path for path in linked if path.suffix == ".md" and path.exists()]
            # A link to a folder leads to all of its pages.
            todo += [path for folder in linked if folder.is_dir() for path in folder.glob("*.md")]

    assert sorted(set(DOCUMENTS) - reached) == []


def test_every_page_that_the_code_mentions_is_there_with_its_heading():
    folders = [ROOT / folder for folder in CODE_FOLDERS]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    mentions = [
        (path, file, anchor.removeprefix("#"))
        for path in [*files, ROOT / "Makefile", ROOT / "pyproject.toml"]
        for file, anchor in MENTION.findall(path.read_text(encoding="utf-8"))
    ]

    assert len(mentions) > 20
    assert [
        f"{path.relative_to(ROOT)}: {file}#{anchor}"
        for path, file, anchor in mentions
        if not resolves(ROOT / file, anchor)
    ] == []


def test_every_path_in_the_architecture_is_there():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+/[\w./]*)`", text)
    paths = [path for path in named if path.partition("/")[0] in CODE_FOLDERS]

    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_anchors_are_those_of_github():
    headings = ["Step lag", "A `--trace` file, replayed", "What-if", "[Time](x.md) and place"]

    assert [anchor_of(heading) for heading in headings] == [
        "step-lag", "a---trace-file-replayed", "what-if", "time-and-place",
    ]  # fmt: skip
