"""Messages of the scripted gRPC service `scalelag.Cases`, as generated code would hold them."""

from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2

_TEXT = f".{wrappers_pb2.StringValue.DESCRIPTOR.full_name}"

_file = descriptor_pb2.FileDescriptorProto(
    name="scalelag_cases.proto",
    package="scalelag",
    syntax="proto3",
    dependency=[wrappers_pb2.DESCRIPTOR.name],
)
_service = _file.service.add(name="Cases")
_service.method.add(name="Good", input_type=_TEXT, output_type=_TEXT)
_service.method.add(name="Stream", input_type=_TEXT, output_type=_TEXT, server_streaming=True)
_service.method.add(name="Upload", input_type=_TEXT, output_type=_TEXT, client_streaming=True)
descriptor_pool.Default().Add(_file)
