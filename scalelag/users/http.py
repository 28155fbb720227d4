"""Users that speak HTTP to a Serve application."""

import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gevent import Timeout, getcurrent
from geventhttpclient.response import HTTPParseError
from locust.env import Environment

from scalelag.options.request_templates import MODEL_HEADER
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.chats import Chats, Said, said_in
from scalelag.users.engine.http_connections import Answer, Connections, Request, Server, StatusError
from scalelag.users.engine.lines import LineOf
from scalelag.users.engine.open_loop import Arrival
from scalelag.users.plan_user import PlanUser

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class HttpPlanUser(PlanUser):
    """Sends the request of the options (`--path`, `--method`, ..), or that of a mix, at each arrival.

    To send other requests, override `send`, make them with `self.server.request(..)` and send them
    with `self.send_request(..)`. Nothing is sent twice, no redirect is followed, no cookies are kept.
    To use a client of Locust's instead, combine `PlanUser` with one of Locust's users.
    """

    abstract = True
    makes_prompts = True
    sends_mix = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.server = Server(self.host or "")
        self.connections = Connections(self.server)
        self._headers = [one.headers_with_secrets(os.environ) for one in self.options.requests]
        # Making a request costs a tenth of sending it: one that is always the same is made once.
        self._fixed: list[Request | None] = []
        for number, spec in enumerate(self.options.requests):
            self.chosen_request = number
            self._fixed.append(self.next_request() if spec.is_fixed else None)
        self.chosen_request = 0
        plan = self.options.prompts
        self._chats = None if plan is None else Chats(plan, self.spec, self.worker.next_number)

    def next_request(self) -> Request:
        """Make the next request of the options, from `--data` and `--models`.

        The name of a request includes its model, so that the report has figures for each model.
        """
        payload, model = self.next_payload()
        return self._request(payload.path, payload.body, model)

    def _request(
        self, path: str, body: bytes | None, model: str | None, more: Mapping[str, str] = NO_HEADERS
    ) -> Request:
        """Make a request with the headers of the options, that of its model, and `more`."""
        spec, headers = self.spec, self._headers[self.request_number]
        of_model = {} if model is None else {MODEL_HEADER: model}
        return self.server.request(
            spec.method, path, {**headers, **of_model, **more}, body, spec.name_with(model)
        )

    def send(self) -> None:
        """Send the request of the options. Called once for each arrival."""
        if self._chats is None:
            self.send_request(self._fixed[self.request_number] or self.next_request())
        else:
            self._send_chat(self._chats)

    def line_of(self) -> LineOf | None:
        """Return the conversation of each arrival; None if there are none."""
        return None if self._chats is None or not self._chats.has_lines else self._chats.line_of

    def not_sent(self, intended_s: float, number: int, *, was_late: bool) -> None:
        """Record an arrival that was not sent; a conversation ends with its last turn all the same."""
        super().not_sent(intended_s, number, was_late=was_late)
        if self._chats is not None:
            self._chats.dropped(number)

    def _send_chat(self, chats: Chats) -> None:
        """Send the next request with a prompt of ours, and take its answer into its conversation."""
        arrival = getcurrent()
        if isinstance(arrival, Arrival):
            chat = chats.of_arrival(arrival.number)
            asked = chat.asked._replace(turn_wait_s=arrival.waited_s)
        else:
            chat = chats.next()
            asked = chat.asked
        models = self.spec.models
        model = models[chat.key % len(models)] if models else None
        request = self._request(self.spec.path, chat.body, model, chat.headers)
        answer, error = self._exchange(request, {"asked": asked})
        said = None
        if answer is not None and error is None and chat.turn is not None:
            said = self.said(answer)
        chats.ended(chat, said)

    def said(self, answer: Answer) -> Said:
        """Return the text of a good answer, which the next turn of its conversation is sent with.

        It is that of a whole chat or response as JSON; `said_in` looks for it.
        """
        return said_in(answer.content)

    def send_request(self, request: Request) -> Answer | None:
        """Send one request, record it, and return its answer; None if none came."""
        return self._exchange(request, {})[0]

    def _exchange(
        self, request: Request, more: dict[str, Any]
    ) -> tuple[Answer | None, BaseException | None]:
        """Send one request, and record it with `more` in its context; return its answer and error."""
        context, answer, error = {**self.context(), **more}, None, None
        begun_s = time.perf_counter()
        try:
            answer = self.receive(request, context)
            error = self.check_answer(answer)
        except (OSError, HTTPParseError, WrongAnswerError, Timeout) as failure:
            error = failure
        self._fire_request(request.method, request.name, begun_s, answer, error, context)
        self.recorded(context)
        return answer, error

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
