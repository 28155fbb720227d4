"""Users that speak HTTP to a Serve application."""

import time
from typing import Any

from gevent import Timeout
from geventhttpclient.response import HTTPParseError
from locust.env import Environment

from locustfiles.connections import Answer, Connections, Request, Server, StatusError
from locustfiles.plan_user import PlanUser
from scalelag.plugin.request_errors import WrongAnswerError


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
        self._request = self.server.request(
            self.spec.method, self.spec.path, self.spec.headers_with_secrets(), self.spec.body
        )

    def send(self) -> None:
        """Send the request of the options."""
        self.exchange(self._request)

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
        return None if 200 <= answer.status_code < 300 else StatusError(answer)

    def on_stop(self) -> None:
        """Close the connections."""
        self.connections.close()
