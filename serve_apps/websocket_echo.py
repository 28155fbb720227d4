"""Answers over WebSockets: each connection counts as one request in progress while it is open."""

import asyncio
import time

from fastapi import FastAPI, WebSocket
from ray import serve
from ray.serve import Application

from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile

_asgi = FastAPI()


class WebsocketEchoArgs(SleeperArgs):
    """The arguments of `serve_apps.websocket_echo:app`."""


@serve.deployment()
@serve.ingress(_asgi)  # pyright: ignore[reportUntypedClassDecorator]
class WebsocketEcho:
    """Sleeps for each message of a connection, one after the other, and sends it back."""

    def __init__(self, service_time_s: float, truth_file: str | None) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        self._truth.note("constructor_left")

    @_asgi.websocket("/{path:path}")
    async def answer(self, socket: WebSocket) -> None:
        """Answer each text with a JSON object: the text, and when it came and was answered."""
        self._truth.note_request()
        await socket.accept()
        async for text in socket.iter_text():
            received_s = time.time()
            await asyncio.sleep(self._service_time_s)
            await socket.send_json(
                {"echo": text, "received_s": received_s, "answered_s": time.time()}
            )


def app(args: WebsocketEchoArgs) -> Application:
    """One autoscaled deployment, `WebsocketEcho`."""
    return WebsocketEcho.options(**args.deployment_options()).bind(
        args.service_time_s, args.truth_file
    )
