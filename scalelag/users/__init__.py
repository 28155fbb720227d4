"""The library for locustfiles: every public name is imported from here.

    from scalelag.users import HttpPlanUser, StepShape, attach

A name is loaded when it is first used, so that an HTTP locustfile imports neither gRPC nor WebSocket
clients, and code that only needs a part of the engine does not import Locust.
"""

import importlib
from typing import TYPE_CHECKING, Any

from scalelag.packages import exit_if_shadowed

if TYPE_CHECKING:
    from scalelag.plugin.attach import attach
    from scalelag.plugin.worker.recorder import StreamTimes
    from scalelag.plugin.worker.request_errors import WrongAnswerError
    from scalelag.users.chats import Said
    from scalelag.users.engine.event_stream import Event
    from scalelag.users.engine.grpc_methods import GrpcMethod
    from scalelag.users.engine.http_connections import Answer, Request, StatusError
    from scalelag.users.engine.stream_readers import ChatReader, EventStreamReader, StreamReader
    from scalelag.users.grpc import GrpcAnswer, GrpcMethodUser, GrpcPlanUser
    from scalelag.users.http import HttpPlanUser
    from scalelag.users.plan_user import PlanUser
    from scalelag.users.shape import StepShape
    from scalelag.users.streaming import ChatUser, StreamedAnswer, StreamUser
    from scalelag.users.websocket import Conversation, WebSocketPlanUser

__all__ = [
    "Answer",
    "ChatReader",
    "ChatUser",
    "Conversation",
    "Event",
    "EventStreamReader",
    "GrpcAnswer",
    "GrpcMethod",
    "GrpcMethodUser",
    "GrpcPlanUser",
    "HttpPlanUser",
    "PlanUser",
    "Request",
    "Said",
    "StatusError",
    "StepShape",
    "StreamReader",
    "StreamTimes",
    "StreamUser",
    "StreamedAnswer",
    "WebSocketPlanUser",
    "WrongAnswerError",
    "attach",
]

_MODULES = {
    "attach": "scalelag.plugin.attach",
    "PlanUser": "scalelag.users.plan_user",
    "StepShape": "scalelag.users.shape",
    "WrongAnswerError": "scalelag.plugin.worker.request_errors",
    "HttpPlanUser": "scalelag.users.http",
    "Said": "scalelag.users.chats",
    "Answer": "scalelag.users.engine.http_connections",
    "Request": "scalelag.users.engine.http_connections",
    "StatusError": "scalelag.users.engine.http_connections",
    "StreamUser": "scalelag.users.streaming",
    "ChatUser": "scalelag.users.streaming",
    "StreamedAnswer": "scalelag.users.streaming",
    "StreamReader": "scalelag.users.engine.stream_readers",
    "EventStreamReader": "scalelag.users.engine.stream_readers",
    "ChatReader": "scalelag.users.engine.stream_readers",
    "Event": "scalelag.users.engine.event_stream",
    "StreamTimes": "scalelag.plugin.worker.recorder",
    "GrpcPlanUser": "scalelag.users.grpc",
    "GrpcMethodUser": "scalelag.users.grpc",
    "GrpcAnswer": "scalelag.users.grpc",
    "GrpcMethod": "scalelag.users.engine.grpc_methods",
    "WebSocketPlanUser": "scalelag.users.websocket",
    "Conversation": "scalelag.users.websocket",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  each name has a type of its own
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # With a foreign `reports` or `probes` in the way, the import would fail less clearly.
    exit_if_shadowed()
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
