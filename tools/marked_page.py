"""A page of docs with a part that a tool writes, between two marks."""

from pathlib import Path


def write_between(page: Path, marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks of a page, in place of what was there."""
    begin, end = marks
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{head}{begin}{text}{end}{rest.partition(end)[2]}", encoding="utf-8")
