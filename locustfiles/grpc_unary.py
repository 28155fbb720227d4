"""gRPC calls: `locust -f locustfiles/grpc_unary.py --host URL --dashboard URL --grpc-host HOST:PORT`.

`--steps` says how many, `--grpc-method` to whom, and `--json-body` (or `--body-file`) with what.
"""

from scalelag.packages import exit_if_shadowed

exit_if_shadowed()

from scalelag.plugin.attach import attach  # noqa: E402  after the check
from scalelag.users.grpc import GrpcMethodUser  # noqa: E402  after the check
from scalelag.users.shape import StepShape  # noqa: E402  after the check

__all__ = ["GrpcUnaryUser", "StepShape"]

attach(name="grpc-unary")


class GrpcUnaryUser(GrpcMethodUser):
    """Makes the call that the options describe, as the plan says."""
