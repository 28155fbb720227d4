"""Answers in which every text that can come from outside means harm."""

import io
import itertools
import re
import unicodedata
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from rich.console import Console

from tests.support.page import Page

HARM = (
    " \x1b[2J\x1b]0;owned\x07\x9b31m\x00\u202e\u2066\u200b\ufeff\r\n\tX\u2028</script><script>alert(1)"
    "</script><img src=x onerror=alert(1)>'\" onmouseover=x [red]x[/red] **b** `c` |\\| @nobody #1 "
    "[a](https://evil.example) www.evil.example http://evil.example <!-- --> ]]> ${HOME} {{7*7}} "
    "\U000e0041\n::error file=a::owned\n ##vso[task.setvariable variable=a]b\n::stop-commands::x"
)
"""End that `hostile` puts to each text."""

_T = TypeVar("_T", bound=msgspec.Struct)


def hostile(what: _T) -> _T:
    """Return `what` with `HARM` behind every text and key whose type allows any text.

    Words of ours, which are literals in the types, stay. A text that names another part of the
    structure still names it: each gets the same end.
    """
    kind = inspect.type_info(type(what))
    return msgspec.convert(_ruined(msgspec.to_builtins(what), kind), type(what))


def _ruined(value: Any, kind: inspect.Type) -> Any:
    match kind:
        case inspect.StrType():
            return value + HARM
        case inspect.StructType():
            types = {field.encode_name: field.type for field in kind.fields}
            return {name: _ruined(part, types[name]) for name, part in value.items()}
        case inspect.DictType():
            return {
                _ruined(name, kind.key_type): _ruined(part, kind.value_type)
                for name, part in value.items()
            }
        case inspect.VarTupleType() | inspect.ListType() | inspect.TupleType():
            is_fixed = isinstance(kind, inspect.TupleType)
            types = kind.item_types if is_fixed else itertools.repeat(kind.item_type)
            return [_ruined(part, one) for part, one in zip(value, types, strict=is_fixed)]
        case inspect.UnionType():
            return _ruined_union(value, kind)
        case _:
            return value


def _ruined_union(value: Any, kind: inspect.UnionType) -> Any:
    for one in kind.types:
        is_text = isinstance(one, inspect.StrType) and isinstance(value, str)
        is_record = isinstance(one, inspect.StructType | inspect.DictType) and isinstance(
            value, dict
        )
        is_row = isinstance(one, inspect.VarTupleType | inspect.TupleType | inspect.ListType)
        if is_text or is_record or (is_row and isinstance(value, list)):
            return _ruined(value, one)
    return value


def obeyed(text: str) -> list[str]:
    """Characters of `text` that a terminal obeys, or that turn the order of what stands round them."""
    return [
        char
        for char in text
        if char in "\x85\u2028\u2029" or (unicodedata.category(char)[0] == "C" and char != "\n")
    ]


_ORDER = re.compile(r"^\s*::[\w-]+(?: [^:]*)?::|##(?:vso|teamcity)?\[", re.MULTILINE)


def orders(text: str) -> list[str]:
    """Marks in what is printed that GitHub, Azure or TeamCity take for an order to them."""
    return _ORDER.findall(text)


def printed(show: Any, width: int) -> str:
    """Return the text that `show` prints to a terminal without colours."""
    text = io.StringIO()
    show(Console(file=text, width=width, color_system=None))
    return text.getvalue()


def elements(page: bytes) -> tuple[list[str], list[str]]:
    """Names of the elements of a page that could do something, and of attributes that run code."""
    found = Page(page.decode()).found
    active = {"script", "img", "iframe", "object", "embed", "base", "form", "link", "a", "svg"}
    handlers = [name for _, attributes in found for name in attributes if name.startswith("on")]
    return [tag for tag, _ in found if tag in active], handlers


_ADDRESS = re.compile(r"(?:https?:)?//[\w.-]*evil\.example|javascript:", re.IGNORECASE)


def leads_away(page: bytes) -> list[str]:
    """Values of attributes of a page that lead to the address of the hostile texts."""
    return [
        value
        for _, attributes in Page(page.decode()).found
        for name, value in attributes.items()
        if value
        and name in ("href", "src", "action", "xlink:href", "style")
        and _ADDRESS.search(value)
    ]


def without_isolates(page: bytes) -> str:
    """`page` without the marks that our charts put round each foreign text."""
    return page.decode().replace("\u2068", "").replace("\u2069", "")
