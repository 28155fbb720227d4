"""The frame of every page: templates/base.html.j2, its style, scripts and policy."""

import base64
import hashlib
import importlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.render.html.figure import Figure
from scalelag.foreign import sanitized_lines

_ASSETS = "reports.render.html"


# What would end a script element, begin a comment in it, or end a line in JavaScript.
_UNSAFE_IN_JSON = {char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


class Script(msgspec.Struct, frozen=True):
    """The text of a script element, and the source that a policy names it by."""

    text: Markup
    source: str


def asset(name: str) -> Markup:
    """The text of one of our own files."""
    file = resources.files(_ASSETS).joinpath("assets", name)
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704  our own file


def script(text: str) -> Script:
    """`text` as a script. Raises ValueError for one that would not end where it should."""
    low = text.lower()
    if "</script" in low or "<!--" in low or "\r" in text:
        raise ValueError("this script cannot stand within a page: see its </script, <!-- or \\r")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(Markup(text), f"'sha256-{digest}'")  # noqa: S704  our own, and plotly's


def plotly_script() -> Script:
    """plotly.js, from its Python package."""
    offline: Any = importlib.import_module("plotly.offline")  # has no types
    return script(offline.get_plotlyjs())


def policy(scripts: list[Script]) -> str:
    """A Content-Security-Policy under which these scripts run, and nothing is fetched."""
    allowed = " ".join(one.source for one in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def data_block(data: object) -> Markup:
    """`data` as JSON that can stand in a script element: no text in it can end that element."""
    text = msgspec.json.encode(data).decode()
    return Markup(text.translate(str.maketrans(_UNSAFE_IN_JSON)))  # noqa: S704  made safe here


def _harmless(shown: object) -> object:
    """Return a text that is put into a template without controls; `Markup` is ours."""
    if isinstance(shown, Markup) or not isinstance(shown, str):
        return shown
    return sanitized_lines(shown)


def environment() -> Environment:
    """Templates of our own; what is put into them is made harmless, line by line, and escaped."""
    return Environment(
        loader=PackageLoader("reports.render.html", "templates"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def shell(figures: Sequence[Figure], plotly: Script | None) -> dict[str, Any]:
    """Style, scripts, their policy, and the data of `figures`, by the names that the template has.

    `plotly` stands in for plotly.js where it is given.
    """
    drawing, own = plotly or plotly_script(), script(asset("charts.js"))
    return {
        "style": asset("page.css"),
        "policy": policy([drawing, own]),
        "scripts": [drawing.text, own.text],
        "data": data_block([{"id": f.id, "linked": f.linked, **f.plot} for f in figures]),
    }
