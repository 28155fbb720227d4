"""Users that speak WebSocket to a Serve application."""

import os
import ssl
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec
import websocket
from gevent import Timeout
from geventhttpclient.header import Headers
from locust.env import Environment

from scalelag.errors import UsageError
from scalelag.options.request_spec import RequestSpec
from scalelag.options.request_templates import MODEL_HEADER
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.http_connections import Answer, StatusError, as_sent, authorization
from scalelag.users.plan_user import PlanUser

_ANSWERED_WELL = 200
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
# As with HTTP, certificates are not checked: a load test is no place to verify identity.
_UNCHECKED = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}


_NONSENSE = (
    websocket.WebSocketProtocolException,
    websocket.WebSocketPayloadException,
    # The client raises these when it parses a malformed answer.
    ValueError,
    IndexError,
)


class ServerConnectionClosedError(Exception):
    """The server closed the connection instead of answering."""


_FAILURES = (OSError, websocket.WebSocketException, ServerConnectionClosedError, *_NONSENSE)


class Conversation(msgspec.Struct, frozen=True):
    """Answers of the server, one message each: text as str, binary as bytes."""

    messages: tuple[str | bytes, ...]

    @property
    def content(self) -> bytes:
        """All messages joined; text is encoded as UTF-8."""
        return b"".join(m.encode() if isinstance(m, str) else m for m in self.messages)


class WebSocketPlanUser(PlanUser):
    """Has a short conversation for each arrival: connect, send, wait for the answer, close.

    Serve counts each open connection as an ongoing request. A connection that is kept open would
    therefore keep replicas that nobody uses. For other conversations, override `send` and call
    `self.converse(path, messages)`. Nothing is sent twice, and no redirect is followed.
    """

    abstract = True
    sends_mix = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        parts = urlsplit(self.host or "")
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise UsageError(
                f'--host "{self.host}" is no URL: give one like http://127.0.0.1:8000.'
            )
        address = parts.netloc.rpartition("@")[2].replace("%25", "%")
        self._url = f"{_SCHEMES[parts.scheme]}://{address}{parts.path.rstrip('/')}"
        user = authorization(parts)
        self._headers = [{**user, **_of_handshake(spec)} for spec in self.options.requests]

    def send(self) -> None:
        """Send the body of the options, and wait for one message.

        It is sent as text; bytes that are no UTF-8 are sent as binary.
        """
        payload, model = self.next_payload()
        headers = {} if model is None else {MODEL_HEADER: model}
        message = _message(payload.body or b"")
        self.converse(payload.path, [message], headers, self.spec.name_with(model))

    def converse(
        self,
        path: str,
        messages: Sequence[str | bytes],
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> Conversation | None:
        """Have one conversation, record it, and return the answers; None if one is missing.

        Each message is sent after the answer to the one before; bytes are sent as binary. The record
        names the conversation `name`, or else `path`.
        """
        context, answer, error = self.context(), None, None
        begun_s = time.perf_counter()
        try:
            own = self._headers[self.request_number]
            answer = self._answers(path, messages, {**own, **(headers or {})})
            context["status"] = _ANSWERED_WELL
            error = self.check_answer(answer)
        except _FAILURES as failure:
            error = _as_recorded(failure)
        except (WrongAnswerError, Timeout) as failure:
            error = failure
        self._fire_request("WebSocket", name or path, begun_s, answer, error, context)
        return answer

    def check_answer(self, answer: Conversation) -> Exception | None:
        """Return the error of `answer`, or None if it is good."""
        return self._check_expected(answer.content)

    def _answers(
        self, path: str, messages: Sequence[str | bytes], headers: Mapping[str, str]
    ) -> Conversation:
        socket = websocket.WebSocket(sslopt=_UNCHECKED)
        try:
            socket.connect(
                self._url + as_sent(path),
                header=dict(headers),
                suppress_origin=True,
                redirect_limit=0,
                http_no_proxy=["*"],
            )
            answers = tuple(_answer(socket, message) for message in messages)
            socket.send_close()
            return Conversation(answers)
        finally:
            # The server's own close frame is not waited for.
            socket.shutdown()


def _of_handshake(spec: RequestSpec) -> dict[str, str]:
    """Return the headers of a request, without those of a body, which a handshake does not have."""
    return {
        name: value
        for name, value in spec.headers_with_secrets(os.environ).items()
        if not name.lower().startswith("content-")
    }


def _message(body: bytes) -> str | bytes:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _answer(socket: websocket.WebSocket, message: str | bytes) -> str | bytes:
    if isinstance(message, str):
        socket.send_text(message)
    else:
        socket.send_binary(message)
    opcode, data = socket.recv_data()
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        raise ServerConnectionClosedError
    return data.decode() if opcode == websocket.ABNF.OPCODE_TEXT else bytes(data)


def _as_recorded(failure: Exception) -> Exception:
    """Translate a failure of websocket-client into an error that the record has a kind for."""
    if isinstance(failure, websocket.WebSocketBadStatusException):
        headers = Headers()
        headers.update(failure.resp_headers or {})
        return StatusError(Answer(failure.status_code, headers, bytes(failure.resp_body or b"")))
    # Errors of the connection have classes of their own, and stay.
    if isinstance(failure, _NONSENSE) or type(failure) is websocket.WebSocketException:
        return WrongAnswerError("no WebSocket")
    return failure
