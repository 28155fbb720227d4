"""A gRPC endpoint that does what the method of `/scalelag.Cases/<Method>` says.

As a command, `python -m tests.support.servers.grpc_server [--reflection]` prints its address
when it listens and ends when its standard input closes. Messages are bytes to it.
`Log` tells the calls that have come.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final

import grpc
from grpc_reflection.v1alpha import reflection

from tests.support.servers import cases_pb2  # noqa: F401  what reflection tells
from tests.support.servers.own_process import ServerProcess, announce, running

SERVICE: Final = "scalelag.Cases"
NEVER_S: Final = 1.0
"""The longest that a client of ours waits."""

THREADS: Final = 64
FIRST_S, BETWEEN_S = 0.05, 0.1
CODES: Final = {
    "Busy": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NotFound": grpc.StatusCode.NOT_FOUND,
    "Failed": grpc.StatusCode.INTERNAL,
    "Away": grpc.StatusCode.UNAVAILABLE,
}

calls: list[dict[str, Any]] = []


def note(method: str, message: bytes, context: grpc.ServicerContext) -> None:
    """Write down that a call came."""
    metadata = {key: str(value) for key, value in context.invocation_metadata()}
    calls.append(
        {"method": method, "message": message.hex(), "metadata": metadata, "at_s": time.time()}
    )


def answer(method: str, message: bytes, context: grpc.ServicerContext) -> bytes:
    """The answer of a unary call: the message itself, or what the method says."""
    if method == "Log":
        return json.dumps(calls).encode()
    note(method, message, context)
    if method == "Die":
        os._exit(0)
    if method == "Never":
        time.sleep(2 * NEVER_S)
    if method in CODES:
        context.abort(CODES[method], "as asked")
    return b"\xff\xff" if method == "Garbage" else message


def stream(method: str, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Three messages; the last is missing if the stream is cut or stalls."""
    note(method, message, context)
    time.sleep(FIRST_S)
    yield message
    time.sleep(BETWEEN_S)
    yield message
    if method == "StreamCut":
        context.abort(grpc.StatusCode.INTERNAL, "as asked")
    if method == "StreamStall":
        time.sleep(2 * NEVER_S)
    yield message


class Cases(grpc.GenericRpcHandler):
    """Handles every method of the service."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        """Handler of one call."""
        service, _, method = handler_call_details.method.strip("/").partition("/")
        if service != SERVICE or method == "Unknown":
            return None
        if method.startswith("Stream"):
            return grpc.unary_stream_rpc_method_handler(lambda m, c: stream(method, m, c))
        return grpc.unary_unary_rpc_method_handler(lambda m, c: answer(method, m, c))


def main() -> None:
    """Serve until standard input closes."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    server.add_generic_rpc_handlers((Cases(),))
    port = server.add_insecure_port("127.0.0.1:0")
    if "--reflection" in sys.argv:
        reflection.enable_server_reflection([SERVICE, reflection.SERVICE_NAME], server)
    server.start()
    announce(f"127.0.0.1:{port}")
    closed = threading.Thread(target=sys.stdin.buffer.read)
    closed.start()
    closed.join()
    os._exit(0)


class GrpcServer(ServerProcess):
    """A running endpoint at `address`, HOST:PORT."""

    module = "tests.support.servers.grpc_server"

    def calls(self) -> list[dict[str, Any]]:
        """Method, message and metadata of every call so far."""
        with grpc.insecure_channel(self.address) as channel:
            return json.loads(channel.unary_unary(f"/{SERVICE}/Log")(b"", timeout=10))


def running_grpc_server(*options: str) -> AbstractContextManager[GrpcServer]:
    """An endpoint in a process of its own, until the block ends."""
    return running(GrpcServer(*options))


if __name__ == "__main__":
    main()
