"""Answers of Locust's own addresses, made fit for whoever reaches the page.

Locust shows the host with its password, as the host of a test and in names of downloads. It shows
names, error texts and its log with the secrets of URLs in them, and puts them into CSV files
unchanged.
"""

import csv
import html
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Response, request
from jinja2.utils import htmlsafe_json_dumps
from locust.env import Environment
from locust.web import WebUI

from reports.render.csv_steps import plain_cell
from scalelag.cluster.urls import hide_credentials
from scalelag.record.secrets import hide_url_secrets

_CSV, _JSON, _HTML = "text/csv", "application/json", "text/html"
_LOCUST = "locust"
_ARGUMENTS = "window.templateArgs = "
"""Start of the line of Locust's report with the JSON of all that it shows."""


def tidy_answers(web_ui: WebUI, environment: Environment) -> None:
    """Have each answer of the page leave out secrets of URLs, and each CSV file hold texts alone."""
    app: Any = web_ui.app
    app.after_request(partial(_tidied, environment=environment))


def _tidied(response: Response, environment: Environment) -> Response:
    users = sorted(_users(environment), key=len, reverse=True)
    for name, value in list(response.headers):
        if (shown := _without(value, users)) != value:
            response.headers[name] = shown
    if response.direct_passthrough or response.is_streamed:
        return response  # a file, or an archive of ours
    text = response.get_data(as_text=True)
    is_told = request.blueprint == _LOCUST and request.method == "GET"
    shown = _without(_TIDY.get(response.mimetype, str)(text) if is_told else text, users)
    if shown != text:
        response.set_data(shown)
    return response


def _users(environment: Environment) -> Iterator[str]:
    """Users and passwords in the hosts of tests, with the `@`, in each way that answers write them."""
    classes = (environment.available_user_classes or {}).values()
    for host in {environment.host, *(one.host for one in classes)} - {None, ""}:
        bare = hide_credentials(str(host))
        if bare != host:
            user = str(host).removesuffix(bare.partition("://")[2]).partition("://")[2]
            written = (json.dumps(user), str(htmlsafe_json_dumps(user)))
            yield from {user, html.escape(user), quote(user), *(one[1:-1] for one in written)}


def _without(text: str, users: list[str]) -> str:
    for user in users:
        text = text.replace(user, "")
    return text


def _plain_csv(text: str) -> str:
    """Return a CSV file in which no cell is a formula, and none does anything to a terminal."""
    plain = io.StringIO()
    writer = csv.writer(plain)
    for row in csv.reader(io.StringIO(text, newline="")):
        writer.writerow([cell if _is_number(cell) else plain_cell(_shown(cell)) for cell in row])
    return plain.getvalue()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> Any:  # noqa: ANN401  as JSON has it
    """Return `value` without the secrets in the URLs of its texts."""
    if isinstance(value, str):
        return hide_url_secrets(hide_credentials(value))
    if isinstance(value, dict):
        return {_shown(name): _shown(one) for name, one in value.items()}
    return [_shown(one) for one in value] if isinstance(value, list) else value


def _may_tell(text: str) -> bool:
    """Return False if there are no parameters and no users in a text: to parse it takes time."""
    return "=" in text or "@" in text


def _safe_json(text: str) -> str:
    return json.dumps(_shown(json.loads(text))) if _may_tell(text) else text


def _safe_html(text: str) -> str:
    """Return a page of Locust's without secrets in what it shows; others are without by themselves."""
    before, begins, rest = text.partition(_ARGUMENTS)
    if not begins or not rest.startswith("{"):
        return text
    arguments, end = json.JSONDecoder().raw_decode(rest)
    return before + begins + str(htmlsafe_json_dumps(_shown(arguments))) + rest[end:]


_TIDY: Mapping[str | None, Callable[[str], str]] = {
    _CSV: _plain_csv,
    _JSON: _safe_json,
    _HTML: _safe_html,
}
