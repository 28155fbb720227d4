"""Pages under `/scalelag/`: the page of its own, the data of all pages, the downloads."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import gevent
from flask import Blueprint, Response, abort, request, send_file
from locust.web import WebUI

from scalelag.plugin.web.form import label_of
from scalelag.plugin.web.form_values import in_words
from scalelag.plugin.web.runs import RECORD_FILES, REPORT_FILES, WebRun, WebRuns, as_json
from scalelag.plugin.web.start import Start
from scalelag.plugin.web.zip_stream import zip_stream

_HOME = Path(str(resources.files("scalelag.plugin.web").joinpath("static")))
_STATIC = (
    "charts.js",
    "elements.js",
    "first_tab.js",
    "form.js",
    "locust.js",
    "parts.js",
    "replicas.js",
    "report.js",
    "scalelag.css",
    "store.js",
)
_PLOTLY = Path(str(resources.files("plotly").joinpath("package_data", "plotly.min.js")))
_DAY_S = 86_400
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; frame-src 'self'; base-uri 'none'; form-action 'none'"
)
_REPORT_POLICY = "sandbox allow-scripts allow-downloads allow-popups; frame-ancestors 'self'"
"""The report holds text from the cluster: its page must never have Locust's origin."""


def add_pages(web_ui: WebUI, runs: WebRuns, start: Start) -> str:
    """Serve the pages, behind Locust's login if it is on. Returns their path."""
    app: Any = web_ui.app
    base = app.blueprints["locust"].url_prefix or ""
    blueprint = Blueprint("scalelag", __name__, url_prefix=f"{base}/scalelag")
    pages = _Pages(runs, start)
    for rule, view in (
        ("/", pages.page),
        ("/static/<name>", pages.static),
        ("/plotly.js", pages.plotly),
        ("/form", pages.form),
        ("/live", pages.live),
        ("/runs", pages.runs),
        ("/runs/<int:number>/record.zip", pages.record),
        ("/runs/<int:number>/<name>", pages.report),
    ):
        blueprint.add_url_rule(
            rule, view.__name__, web_ui.auth_required_if_enabled(view), methods=["GET"]
        )
    app.register_blueprint(blueprint)
    return f"{base}/scalelag/"


class _Pages:
    """Views of Flask."""

    def __init__(self, runs: WebRuns, start: Start) -> None:
        self._runs = runs
        self._start = start

    def page(self) -> Response:
        """The page of its own."""
        answer = send_file(_HOME / "page.html", max_age=0)
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    def static(self, name: str) -> Response:
        """Our scripts and style."""
        if name not in _STATIC:
            abort(404)
        return send_file(_HOME / name, max_age=0)

    def plotly(self) -> Response:
        """plotly.js, from its Python package."""
        return send_file(_PLOTLY, mimetype="application/javascript", max_age=_DAY_S)

    def form(self) -> Response:
        """The start form, with the values of the last test."""
        return _json(self._start.page())

    def live(self) -> Response:
        """New rows of the run under way, or of the last one."""
        seen = {name: request.args.get(name, -1, type=int) for name in ("run", "epoch", "after")}
        answer = self._runs.answer(seen["run"], seen["epoch"], seen["after"])
        if answer["state"] == "waiting":
            answer["message"] = self._start.waiting_text()
        elif answer["message"]:
            answer["message"] = in_words(answer["message"], label_of)
        return _json(answer)

    def runs(self) -> Response:
        """The list of runs, the last one first."""
        return _json([run.line() for run in reversed(self._runs.runs)])

    def report(self, number: int, name: str) -> Response:
        """A report of a run: with `?show` to read in the browser, else to download."""
        path = self._run(number).path / name
        if name not in REPORT_FILES or not path.is_file():
            abort(404)
        kept = f"{path.parent.name}-{name}"
        shown = "show" in request.args
        answer = send_file(
            path.resolve(), as_attachment=not shown, download_name=None if shown else kept
        )
        if shown:
            answer.headers["Content-Security-Policy"] = _REPORT_POLICY
        return answer

    def record(self, number: int) -> Response:
        """The record of a run: all its files in one archive."""
        folder = self._run(number).path
        files = [folder / name for name in RECORD_FILES if (folder / name).is_file()]
        answer = Response(_yielding(zip_stream(folder.name, files)), mimetype="application/zip")
        answer.headers["Content-Disposition"] = f'attachment; filename="{folder.name}.zip"'
        return answer

    def _run(self, number: int) -> WebRun:
        return self._runs.run(number) or abort(404)


def _yielding(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks; between two of them the users that send load have their turn."""
    for block in blocks:
        yield block
        gevent.sleep(0)


def _json(answer: object) -> Response:
    found = Response(as_json(answer), mimetype="application/json")
    found.headers["Cache-Control"] = "no-store"
    return found
