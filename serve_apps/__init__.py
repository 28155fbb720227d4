"""Ray Serve applications to scale: each stresses one part of autoscaling.

This package imports nothing of scalelag, and this module nothing of Ray: the name of an
application can be looked up where no Ray is wanted, as in the load process.
"""

from typing import Final

BUILT_IN: Final[dict[str, str]] = {
    "sleeper": "serve_apps.sleeper:app",
    "cpu_bound": "serve_apps.cpu_bound:app",
    "cold_start": "serve_apps.cold_start:app",
    "pipeline": "serve_apps.pipeline:app",
    "front": "serve_apps.front:app",
    "slow_start": "serve_apps.slow_start:app",
    "sick_start": "serve_apps.sick_start:app",
    "sick_health": "serve_apps.sick_health:app",
    "starved": "serve_apps.starved:app",
    "llm_stream": "serve_apps.llm_stream:app",
    "multiplexed": "serve_apps.multiplexed:app",
    "batcher": "serve_apps.batcher:app",
    "grpc_echo": "serve_apps.grpc_echo:app",
    "websocket_echo": "serve_apps.websocket_echo:app",
}
"""The import path of the builder of each application, by its short name."""

GRPC_SERVICERS: Final[dict[str, tuple[str, ...]]] = {
    "serve_apps.grpc_echo:app": (
        "ray.serve.generated.serve_pb2_grpc.add_UserDefinedServiceServicer_to_server",
    ),
}
"""The `grpc_servicer_functions` that Serve must start with, by import path, where there are any."""
