"""Users that speak HTTP to a Serve application."""

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
    """Sends the request that the options describe (`--path`, `--method`, `--header`, ...).

    To send others, override `send`, make requests with `self.server.request(..)` and send each with
    `self.exchange(..)`. Nothing is sent twice, no redirect is followed, no cookies are kept. Where
    Locust's own clients are wanted, combine `PlanUser` with one of its users instead.
    """

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.server = Server(self.host or "")
        self.connections = Connections(self.server)
        self._headers = self.spec.headers_with_secrets()
        # The same request again and again is made once: that is a tenth of what sending one costs.
        is_fixed = not self.spec.rows and not self.spec.models
        self._fixed = self.next_request() if is_fixed else None

    def next_request(self) -> Request:
        """The request of the options: the next one of `--data` and `--models`.

        One for a model is called after it, so that each model has figures of its own.
        """
        payload, model = self.draw()
        headers = self._headers if model is None else {**self._headers, MODEL_HEADER: model}
        name = self.spec.path if model is None else f"{self.spec.path} {model}"
        return self.server.request(self.spec.method, payload.path, headers, payload.body, name)

    def send(self) -> None:
        """Send the request of the options."""
        self.exchange(self._fixed or self.next_request())

    def exchange(self, request: Request) -> Answer | None:
        """Send one request, wait for its answer, and record both; None where there was no answer."""
        context, answer, error = self.context(), None, None
        begun_s = time.perf_counter()
        try:
            answer = self.receive(request, context)
            error = self.complaint(answer)
        except (OSError, HTTPParseError, WrongAnswerError, Timeout) as failure:
            error = failure
        self.environment.events.request.fire(
            request_type=request.method,
            name=request.name,
            response_time=(time.perf_counter() - begun_s) * 1000,
            response_length=len(answer.content) if answer else 0,
            exception=error,
            context=context,
            response=answer,
        )
        return answer

    def receive(self, request: Request, context: dict[str, Any]) -> Answer:  # noqa: ARG002  for others
        """Send `request`, and wait for its answer; `context` is for what else shall be recorded."""
        return self.connections.answer(request)

    def complaint(self, answer: Answer) -> Exception | None:
        """What is wrong with `answer`; None for a good one."""
        if not 200 <= answer.status_code < 300:
            return StatusError(answer)
        if self.spec.expect is not None and self.spec.expect not in answer.content:
            return WrongAnswerError("without the expected text")
        return None

    def on_stop(self) -> None:
        """Close the connections."""
        self.connections.close()
