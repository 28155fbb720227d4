"""What is known of a gRPC method: from generated code, or from the server itself."""

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


class Method(msgspec.Struct, frozen=True):
    """A method, its `name` as `package.Service/Method`. Without its types all is bytes.

    `streams`: its answer is a stream of messages.
    """

    name: str
    answer_type: type[Message] | None = None
    request_type: type[Message] | None = None
    streams: bool = False

    @property
    def path(self) -> str:
        """Where HTTP/2 finds it."""
        return f"/{self.name}"

    def message(self, json_text: bytes) -> bytes:
        """The message that `json_text` describes. Raises UsageError where it describes none."""
        if self.request_type is None:
            raise UsageError(
                f"--json-body: nothing tells what {self.name} takes, since the server has no "
                "reflection: name the generated code (--grpc-module), or give the message as "
                "bytes (--body-file)."
            )
        try:
            return json_format.Parse(json_text, self.request_type()).SerializeToString()
        except json_format.ParseError as error:
            wanted = self.request_type.DESCRIPTOR.full_name
            raise UsageError(f"--json-body: it is no {wanted}: {error}") from error

    def read(self, content: bytes) -> Any:  # noqa: ANN401  whatever the answer's type is
        """The message in `content`. Raises WrongAnswerError where it is none of the answer's type."""
        if self.answer_type is None:
            return content
        try:
            return self.answer_type.FromString(content)
        except DecodeError as error:
            raise WrongAnswerError(f"no {self.answer_type.DESCRIPTOR.full_name}") from error


def method_of_module(name: str, module: str) -> Method:
    """The method, described by generated code: `my_pb2` or `my_pb2_grpc`. Raises UsageError."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"--grpc-module {module}: {error}.") from error
    service, _, _ = name.partition("/")
    pool = descriptor_pool.Default()
    try:
        pool.FindServiceByName(service)
    except KeyError:
        raise UsageError(f"--grpc-module {module} does not define the service {service}.") from None
    return _method(pool, name)


def method_of_server(name: str, channel: grpc.Channel) -> Method:
    """The method, described by the server where it offers reflection; else without its types.

    Raises UsageError where there is none of that name, grpc.RpcError where the server is not there.
    """
    database = ProtoReflectionDescriptorDatabase(channel)
    try:
        services = sorted(database.get_services())
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE:
            raise
        return Method(name)
    service, _, _ = name.partition("/")
    if service not in services:
        raise UsageError(
            f"--grpc-method {name}: the server has no service {service}; it has "
            f"{', '.join(services)}."
        )
    return _method(DescriptorPool(database), name)


def _method(pool: DescriptorPool, name: str) -> Method:
    service_name, _, method_name = name.partition("/")
    service = pool.FindServiceByName(service_name)
    found = service.methods_by_name.get(method_name)
    if found is None:
        raise UsageError(
            f"--grpc-method {name}: {service_name} has no method {method_name}; it has "
            f"{', '.join(sorted(service.methods_by_name))}."
        )
    if found.client_streaming:
        raise UsageError(f"--grpc-method {name} takes a stream of messages: only one can be sent.")
    return Method(
        name,
        answer_type=GetMessageClass(found.output_type),
        request_type=GetMessageClass(found.input_type),
        streams=found.server_streaming,
    )
