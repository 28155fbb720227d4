"""What every page has round its contents: templates/base.html.j2, and what goes into it."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.render.html.embed import Script, asset, data_block, plotly_script, policy, script
from reports.render.tables.table import Figure


def environment() -> Environment:
    """Templates of our own; what is put into them is escaped."""
    return Environment(
        loader=PackageLoader("reports.render.html", "templates"),
        autoescape=True,
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
