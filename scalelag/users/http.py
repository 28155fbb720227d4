"""Users that speak HTTP to a Serve application."""

import os
import time
from typing import Any

from gevent import Timeout
from geventhttpclient.response import HTTPParseError
from locust.env import Environment

from scalelag.options.request_templates import MODEL_HEADER
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.http_connections import Answer, Connections, Request, Server, StatusError
from scalelag.users.plan_user import PlanUser


class HttpPlanUser(PlanUser):
    """Sends the request of the options (`--path`, `--method`, `--header`, ...) at each arrival.

    To send other requests, override `send`, make them with `self.server.request(..)` and send them
    with `self.send_request(..)`. Nothing is sent twice, no redirect is followed, no cookies are kept.
    To use a client of Locust's instead, combine `PlanUser` with one of Locust's users.
    """

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.server = Server(self.host or "")
        self.connections = Connections(self.server)
        self._headers = self.spec.headers_with_secrets(os.environ)
        # Making a request costs a tenth of sending it: one that is always the same is made once.
        is_fixed = not self.spec.rows and not self.spec.models
        self._fixed = self.next_request() if is_fixed else None

    def next_request(self) -> Request:
        """Make the next request of the options, from `--data` and `--models`.

        The name of a request includes its model, so that the report has figures for each model.
        """
        payload, model = self.next_payload()
        headers = self._headers if model is None else {**self._headers, MODEL_HEADER: model}
        name = self.spec.name if model is None else f"{self.spec.name} {model}"
        return self.server.request(self.spec.method, payload.path, headers, payload.body, name)

    def send(self) -> None:
        """Send the request of the options. Called once for each arrival."""
        self.send_request(self._fixed or self.next_request())

    def send_request(self, request: Request) -> Answer | None:
        """Send one request, record it, and return its answer; None if none came."""
        context, answer, error = self.context(), None, None
        begun_s = time.perf_counter()
        try:
            answer = self.receive(request, context)
            error = self.check_answer(answer)
        except (OSError, HTTPParseError, WrongAnswerError, Timeout) as failure:
            error = failure
        self._fire_request(request.method, request.name, begun_s, answer, error, context)
        self.recorded(context)
        return answer

    def recorded(self, context: dict[str, Any]) -> None:
        """Do what is left to do once a request is recorded: nothing here."""

    def receive(self, request: Request, context: dict[str, Any]) -> Answer:  # noqa: ARG002  for subclasses
        """Send `request` and return its whole answer; `context` takes further fields of the row."""
        return self.connections.answer(request)

    def check_answer(self, answer: Answer) -> Exception | None:
        """Return the error of `answer`, or None if it is good."""
        if not 200 <= answer.status_code < 300:
            return StatusError(answer)
        return self._check_expected(answer.content)

    def on_stop(self) -> None:
        """Close the connections."""
        self.connections.close()
