"""Description of a gRPC method, from generated code or from the server's reflection."""

import importlib
from typing import Any

import grpc
import msgspec
from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from scalelag.errors import UsageError
from scalelag.plugin.worker.request_errors import WrongAnswerError


class GrpcMethod(msgspec.Struct, frozen=True):
    """A method, named `package.Service/Method`. Without types its messages are bytes.

    `streams` is true if its answer is a stream of messages.
    """

    name: str
    answer_type: type[Message] | None = None
    request_type: type[Message] | None = None
    streams: bool = False

    @property
    def path(self) -> str:
        """Path of the method in HTTP/2."""
        return f"/{self.name}"

    def message(self, json_text: bytes) -> bytes:
        """Encode the message in `json_text`. Raises UsageError if it is not of the method's type."""
        if self.request_type is None:
            raise UsageError(
                f"--json-body: the message type of {self.name} is not known, since the server has no "
                "reflection. Name the generated code with --grpc-module, or give the message as bytes "
                "with --body-file."
            )
        try:
            return json_format.Parse(json_text, self.request_type()).SerializeToString()
        except json_format.ParseError as error:
            wanted = self.request_type.DESCRIPTOR.full_name
            raise UsageError(f"--json-body is no {wanted}: {error}") from error

    def read(self, content: bytes) -> Any:  # noqa: ANN401  generated types share no useful base
        """Decode an answer. Raises WrongAnswerError if it is not of the answer's type."""
        if self.answer_type is None:
            return content
        try:
            return self.answer_type.FromString(content)
        except DecodeError as error:
            raise WrongAnswerError(f"no {self.answer_type.DESCRIPTOR.full_name}") from error


def method_of_module(name: str, module: str) -> GrpcMethod:
    """Look a method up in generated code, `my_pb2` or `my_pb2_grpc`. Raises UsageError."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"--grpc-module {module} cannot be imported: {error}. Run in its folder, or put it on "
            "PYTHONPATH."
        ) from error
    service, _, _ = name.partition("/")
    pool = descriptor_pool.Default()
    try:
        pool.FindServiceByName(service)
    except KeyError:
        raise UsageError(
            f"--grpc-module {module} does not define the service {service} of --grpc-method {name}."
        ) from None
    return _method(pool, name)


def method_of_server(name: str, channel: grpc.Channel) -> GrpcMethod:
    """Look a method up by the server's reflection; without reflection it has no types.

    Raises UsageError if there is no such method, grpc.RpcError if the server does not answer.
    """
    database = ProtoReflectionDescriptorDatabase(channel)
    try:
        services = sorted(database.get_services())
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE:
            raise
        return GrpcMethod(name)
    service, _, _ = name.partition("/")
    if service not in services:
        raise UsageError(
            f"--grpc-method {name}: the server has no service {service}; it has "
            f"{', '.join(services)}."
        )
    return _method(DescriptorPool(database), name)


def _method(pool: DescriptorPool, name: str) -> GrpcMethod:
    service_name, _, method_name = name.partition("/")
    service = pool.FindServiceByName(service_name)
    found = service.methods_by_name.get(method_name)
    if found is None:
        raise UsageError(
            f"--grpc-method {name}: {service_name} has no method {method_name}; it has "
            f"{', '.join(sorted(service.methods_by_name))}."
        )
    if found.client_streaming:
        raise UsageError(
            f"--grpc-method {name} takes a stream of messages, and only one can be sent: choose a "
            "method that takes a single message."
        )
    return GrpcMethod(
        name,
        answer_type=GetMessageClass(found.output_type),
        request_type=GetMessageClass(found.input_type),
        streams=found.server_streaming,
    )
