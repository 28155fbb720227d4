"""Answers of Locust's own addresses, made fit for whoever reaches the page.

Locust tells the host with its password, as the host of a test and in names of downloads, and puts
names and error texts into CSV files as they are.
"""

import csv
import html
import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Response
from jinja2.utils import htmlsafe_json_dumps
from locust.env import Environment
from locust.web import WebUI

from reports.render.csv_steps import plain_cell
from scalelag.cluster.urls import hide_credentials

_CSV = "text/csv"


def tidy_answers(web_ui: WebUI, environment: Environment) -> None:
    """Have each answer of the page leave out passwords of hosts, and each CSV file hold texts alone."""
    app: Any = web_ui.app
    app.after_request(partial(_tidied, environment=environment))


def _tidied(response: Response, environment: Environment) -> Response:
    users = sorted(_users(environment), key=len, reverse=True)
    for name, value in list(response.headers):
        if (shown := _without(value, users)) != value:
            response.headers[name] = shown
    if response.direct_passthrough or response.is_streamed:
        return response  # a file, or an archive of ours
    if response.mimetype == _CSV:
        response.set_data(_plain_csv(response.get_data(as_text=True)))
    if users:
        text = response.get_data(as_text=True)
        if (shown := _without(text, users)) != text:
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
        writer.writerow([cell if _is_number(cell) else plain_cell(cell) for cell in row])
    return plain.getvalue()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
