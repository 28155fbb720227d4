"""Users that speak WebSocket to a Serve application."""

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
from scalelag.options.request_templates import MODEL_HEADER
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.http_connections import Answer, StatusError, authorization
from scalelag.users.plan_user import PlanUser

_ANSWERED_WELL = 200
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
# As with HTTP: who the server is, is no matter of load.
_UNCHECKED = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}


_NONSENSE = (
    websocket.WebSocketProtocolException,
    websocket.WebSocketPayloadException,
    # What the client meets where it looks for words and numbers.
    ValueError,
    IndexError,
)


class ServerConnectionClosedError(Exception):
    """The server closed the connection in place of an answer."""


_FAILURES = (OSError, websocket.WebSocketException, ServerConnectionClosedError, *_NONSENSE)


class Conversation(msgspec.Struct, frozen=True):
    """What the server answered, a message each: text as str, what is binary as bytes."""

    messages: tuple[str | bytes, ...]

    @property
    def content(self) -> bytes:
        """All messages in a row; text is UTF-8."""
        return b"".join(m.encode() if isinstance(m, str) else m for m in self.messages)


class WebSocketPlanUser(PlanUser):
    """Has a short conversation for each arrival: connect, send, wait for the answer, close.

    Serve counts each open connection as a request in progress, so connections kept for later would
    hold up replicas that nobody uses. To say something else, override `send` and call
    `self.exchange(path, messages)`. Nothing is sent twice, and no redirect is followed.
    """

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        parts = urlsplit(self.host or "")
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise UsageError(f'--host "{self.host}": it takes a URL such as http://127.0.0.1:8000')
        where = parts.netloc.rpartition("@")[2]
        self._url = f"{_SCHEMES[parts.scheme]}://{where}{parts.path.rstrip('/')}"
        # Those of HTTP bodies say nothing here.
        self._headers = authorization(parts) | {
            name: value
            for name, value in self.spec.headers_with_secrets().items()
            if not name.lower().startswith("content-")
        }

    def send(self) -> None:
        """Send the body of the options as a text, and wait for one message."""
        payload, model = self.draw()
        text = (payload.body or b"").decode(errors="replace")
        if model is None:
            self.exchange(payload.path, [text], name=self.spec.path)
        else:
            name = f"{self.spec.path} {model}"
            self.exchange(payload.path, [text], {MODEL_HEADER: model}, name)

    def exchange(
        self,
        path: str,
        messages: Sequence[str | bytes],
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> Conversation | None:
        """Have one conversation, and record it; the answers, or None where one is missing.

        Each message is sent when the one before was answered; bytes are sent as binary. It is called
        `name`, or as its path, in the record.
        """
        context, answer, error = self.context(), None, None
        begun_s = time.perf_counter()
        try:
            answer = self._converse(path, messages, {**self._headers, **(headers or {})})
            context["status"] = _ANSWERED_WELL
            error = self.complaint(answer)
        except _FAILURES as failure:
            error = _told(failure)
        except (WrongAnswerError, Timeout) as failure:
            error = failure
        self.environment.events.request.fire(
            request_type="WebSocket",
            name=name or path,
            response_time=(time.perf_counter() - begun_s) * 1000,
            response_length=len(answer.content) if answer else 0,
            exception=error,
            context=context,
            response=answer,
        )
        return answer

    def complaint(self, answer: Conversation) -> Exception | None:
        """What is wrong with `answer`; None for a good one."""
        if self.spec.expect is not None and self.spec.expect not in answer.content:
            return WrongAnswerError("without the expected text")
        return None

    def _converse(
        self, path: str, messages: Sequence[str | bytes], headers: Mapping[str, str]
    ) -> Conversation:
        socket = websocket.WebSocket(sslopt=_UNCHECKED)
        try:
            socket.connect(
                self._url + path,
                header=dict(headers),
                suppress_origin=True,
                redirect_limit=0,
                http_no_proxy=["*"],
            )
            answers = tuple(_answer(socket, message) for message in messages)
            socket.send_close()
            return Conversation(answers)
        finally:
            # Nobody waits for the server's own close.
            socket.shutdown()


def _answer(socket: websocket.WebSocket, message: str | bytes) -> str | bytes:
    if isinstance(message, str):
        socket.send_text(message)
    else:
        socket.send_binary(message)
    opcode, data = socket.recv_data()
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        raise ServerConnectionClosedError
    return data.decode() if opcode == websocket.ABNF.OPCODE_TEXT else bytes(data)


def _told(failure: Exception) -> Exception:
    """A failure of websocket-client in terms that are recorded by kind."""
    if isinstance(failure, websocket.WebSocketBadStatusException):
        headers = Headers()
        headers.update(failure.resp_headers or {})
        return StatusError(Answer(failure.status_code, headers, bytes(failure.resp_body or b"")))
    # All but the errors of connections, which have classes of their own.
    if isinstance(failure, _NONSENSE) or type(failure) is websocket.WebSocketException:
        return WrongAnswerError("no WebSocket")
    return failure
