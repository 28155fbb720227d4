"""Answers over gRPC, through Serve's gRPC proxy, by a service that comes with Ray."""

import asyncio
import time
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.generated import serve_pb2
from ray.serve.grpc_util import RayServegRPCContext

from serve_apps.sleeper import SleeperArgs
from serve_apps.truth import TruthFile


class GrpcEchoArgs(SleeperArgs):
    """The arguments of `serve_apps.grpc_echo:app`."""


@serve.deployment()
class GrpcEcho:
    """Serves `/ray.serve.UserDefinedService/Method1`: sleeps, and answers with what it was sent."""

    def __init__(self, service_time_s: float, truth_file: str | None) -> None:
        self._truth = TruthFile(truth_file)
        self._truth.note("constructor_entered")
        self._service_time_s = service_time_s
        self._truth.note("constructor_left")

    async def Method1(self, message: Any, grpc_context: RayServegRPCContext) -> Any:  # noqa: N802, ANN401
        """Answer a UserDefinedMessage; when it was received and answered is trailing metadata."""
        received_s = time.time()
        self._truth.note_request()
        await asyncio.sleep(self._service_time_s)
        answer: Any = serve_pb2.UserDefinedResponse(  # pyright: ignore[reportAttributeAccessIssue]
            greeting=message.name, num_x2=2 * message.num
        )
        times_s = {"scalelag-received-s": received_s, "scalelag-answered-s": time.time()}
        grpc_context.set_trailing_metadata([(k, f"{at_s:.6f}") for k, at_s in times_s.items()])
        return answer


def app(args: GrpcEchoArgs) -> Application:
    """One autoscaled deployment, `GrpcEcho`."""
    return GrpcEcho.options(**args.deployment_options()).bind(args.service_time_s, args.truth_file)
