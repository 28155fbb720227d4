"""Users that speak gRPC to a Serve application."""

import os
import socket
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import gevent
import grpc
import msgspec
from gevent import Timeout
from google.protobuf.message import Message
from locust.env import Environment

from scalelag.cluster.preflight import Patience
from scalelag.errors import TargetError, UsageError
from scalelag.options.request_spec import RequestSpec
from scalelag.options.run_options import LoadOptions
from scalelag.plugin.worker.request_errors import WrongAnswerError
from scalelag.users.engine.grpc_channels import (
    CHANNEL_OPTIONS,
    CallError,
    Channels,
    Metadata,
    fit_for_gevent,
)
from scalelag.users.engine.grpc_methods import GrpcMethod, method_of_module, method_of_server
from scalelag.users.engine.stream_readers import StreamReader
from scalelag.users.plan_user import PlanUser

_DEFAULT_PORT = 9000
_CHECK_TIMEOUT_S = 5.0
_ANSWERED_WELL = 200
MODEL_KEY = "multiplexed_model_id"
"""Metadata key that tells Serve the model of a call."""


class GrpcAnswer(msgspec.Struct, frozen=True):
    """A whole answer: its messages (a stream has several) and its trailing metadata.

    Messages are bytes if the types of the method are not known.
    """

    messages: tuple[Any, ...]
    content: bytes
    trailing_metadata: Metadata

    @property
    def message(self) -> Any:  # noqa: ANN401  generated types share no useful base
        """The message of an answer that is not a stream."""
        return self.messages[0]


class GrpcPlanUser(PlanUser):
    """Makes gRPC calls. Override `send`, and make each call with `self.call(method, message)`.

    All users of a process share connections, with at most `calls_per_channel` open calls on each.
    `--header` sets the metadata. No call is made twice. For TLS override `open_channel`.
    """

    abstract = True
    calls_per_channel = 100

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.address = grpc_address(self.options, self.host or "")
        self._metadata = [metadata_of(spec) for spec in self.options.requests]
        self.channels = _channels(type(self), self.address)

    @property
    def metadata(self) -> Metadata:
        """Metadata of the options, or of the request of a mix that is being sent."""
        return self._metadata[self.request_number]

    @classmethod
    def open_channel(cls, address: str) -> grpc.Channel:
        """Open a channel to `address`, with CHANNEL_OPTIONS."""
        return grpc.insecure_channel(address, CHANNEL_OPTIONS)

    @classmethod
    def check(cls, options: LoadOptions, host: str) -> None:
        """Raise UsageError or TargetError if no calls can be made with these options."""
        for spec in options.requests:
            metadata_of(spec)
        address = grpc_address(options, host)
        Patience(options.wait_s, time.monotonic, gevent.sleep).retry(lambda: _listens(address))

    def call(
        self,
        method: GrpcMethod,
        message: Message | bytes,
        metadata: Metadata = (),
        name: str | None = None,
    ) -> GrpcAnswer | None:
        """Make one call, record it, and return its answer; None if none came.

        `metadata` is sent in addition to the user's own. The record names the call `name`, or else by
        its method.
        """
        data = message if isinstance(message, bytes) else message.SerializeToString()
        context, answer, error = self.context(), None, None
        begun_s = time.perf_counter()
        try:
            answer = self._receive(method, data, self.metadata + metadata, context)
            error = self.check_answer(answer)
        except (CallError, WrongAnswerError, Timeout) as failure:
            error = failure
        self._fire_request("GRPC", name or method.name, begun_s, answer, error, context)
        return answer

    def check_answer(self, answer: GrpcAnswer) -> Exception | None:
        """Return the error of `answer`, or None if it is good."""
        return self._check_expected(answer.content)

    def _receive(
        self, method: GrpcMethod, data: bytes, metadata: Metadata, context: dict[str, Any]
    ) -> GrpcAnswer:
        timeout_s = self.spec.timeout_s
        if method.streams:
            pieces = self._received_pieces(method, data, metadata, context)
            trailing: Metadata = ()
        else:
            piece, trailing = self.channels.answer(method.path, data, metadata, timeout_s)
            pieces = [piece]
        context["status"] = _ANSWERED_WELL
        return GrpcAnswer(tuple(map(method.read, pieces)), b"".join(pieces), trailing)

    def _received_pieces(
        self, method: GrpcMethod, data: bytes, metadata: Metadata, context: dict[str, Any]
    ) -> Sequence[bytes]:
        reader, now = StreamReader(), self.worker.clock.now
        pieces: list[bytes] = []
        try:
            for piece in self.channels.stream(method.path, data, metadata, self.spec.timeout_s):
                reader.token(now(), "")
                pieces.append(piece)
        finally:
            # Recorded even if the answer breaks off.
            context["stream"] = reader.times
        return pieces


class GrpcMethodUser(GrpcPlanUser):
    """Calls the method of the options (`--grpc-method`) with their message.

    In a mix each request calls the method that is its path, such as `/shop.Orders/Price`.
    """

    abstract = True
    sends_mix = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._methods = [
            _method(
                type(self), self.assignment.run, *_method_arguments(self.options, spec, self.host)
            )
            for spec in self.options.requests
        ]
        self._fixed: list[bytes | None] = []
        for number, spec in enumerate(self.options.requests):
            self.chosen_request = number
            is_fixed = spec.is_fixed and not spec.models
            self._fixed.append(self._next_message()[0] if is_fixed else None)
        self.chosen_request = 0

    @classmethod
    def check(cls, options: LoadOptions, host: str) -> None:
        """Raise UsageError or TargetError if these calls cannot be made."""
        super().check(options, host)
        for spec in options.requests:
            method = find_method(cls, *_method_arguments(options, spec, host))
            if spec.is_json:
                payloads = spec.payloads()
                for number in range(max(1, len(spec.rows))):
                    method.message(payloads.of(number).body or b"")

    @property
    def request_name(self) -> str:
        """Name in the record for an arrival that made no call."""
        return self.options.grpc_method

    def send(self) -> None:
        """Make the call of the options."""
        method, spec = self._methods[self.request_number], self.spec
        fixed = self._fixed[self.request_number]
        if fixed is not None:
            self.call(method, fixed, name=spec.given_name)
            return
        message, model = self._next_message()
        if model is None:
            self.call(method, message, name=spec.given_name)
        else:
            name = spec.given_name or f"{method.name} {model}"
            self.call(method, message, ((MODEL_KEY, model),), name)

    def _next_message(self) -> tuple[bytes, str | None]:
        """Next message, empty if the options give none, and its model if there is one."""
        payload, model = self.next_payload()
        body = payload.body or b""
        if self.spec.is_json:
            body = self._methods[self.request_number].message(body)
        return body, model


@lru_cache(maxsize=4)
def _channels(user: type[GrpcPlanUser], address: str) -> Channels:
    return Channels(lambda: user.open_channel(address), user.calls_per_channel)


@lru_cache(maxsize=256)
def _method(
    user: type[GrpcPlanUser],
    run: str,  # noqa: ARG001  each run asks again, since the server may have changed
    address: str,
    name: str,
    module: str | None,
) -> GrpcMethod:
    return find_method(user, address, name, module)


def find_method(
    user: type[GrpcPlanUser], address: str, name: str, module: str | None
) -> GrpcMethod:
    """Look the method up in generated code if a module is named, else ask the server.

    Raises UsageError if there is no such method, TargetError if the server does not answer.
    """
    if module:
        return method_of_module(name, module)
    fit_for_gevent()
    try:
        with gevent.Timeout(_CHECK_TIMEOUT_S), user.open_channel(address) as channel:
            return method_of_server(name, channel)
    except (grpc.RpcError, Timeout) as error:
        raise TargetError(
            f"{address} takes connections but does not answer gRPC. Check --grpc-host: it takes the "
            "HOST:PORT of Serve's gRPC proxy."
        ) from error


def _method_arguments(
    options: LoadOptions, spec: RequestSpec, host: str | None
) -> tuple[str, str, str | None]:
    """Return address, method and module; the method of a request of a mix is its path."""
    own = spec.path.strip("/") if spec.given_name else ""
    return grpc_address(options, host or ""), own or options.grpc_method, options.grpc_module


def grpc_address(options: LoadOptions, host: str) -> str:
    """HOST:PORT of Serve's gRPC proxy: `--grpc-host`, or else port 9000 of the URL `host`."""
    if options.grpc_host is not None:
        return options.grpc_host
    name = urlsplit(host).hostname or ""
    return f"[{name}]:{_DEFAULT_PORT}" if ":" in name else f"{name}:{_DEFAULT_PORT}"


def metadata_of(spec: RequestSpec) -> Metadata:
    """Convert the headers of the options to gRPC metadata. Raises UsageError if it is not allowed."""
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in spec.headers_with_secrets(os.environ).items():
        key = name.lower()
        # gRPC has a content type of its own; --json-body added one for HTTP.
        if key == "content-type":
            continue
        if key.startswith("grpc-") or not value.isascii() or not value.isprintable():
            raise UsageError(
                f"--header {name} cannot be sent as gRPC metadata: names must not begin with grpc-, "
                "and values must be printable ASCII."
            )
        metadata.append((key, value.encode() if key.endswith("-bin") else value))
    return tuple(metadata)


def _listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CHECK_TIMEOUT_S).close()
    except OSError as error:
        raise TargetError(
            f"No gRPC server at {address}: {error.strerror or error}. Start Serve with gRPC "
            "(docs/serve-apps.md#grpc_echo), or give its HOST:PORT with --grpc-host."
        ) from error
