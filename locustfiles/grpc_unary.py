"""gRPC calls: `locust -f locustfiles/grpc_unary.py --host URL --dashboard URL --grpc-host HOST:PORT`.

`--steps` sets the load, `--grpc-method` the method to call, and `--json-body` (or `--body-file`) the
message.
"""

from scalelag.users import GrpcMethodUser, StepShape, attach

__all__ = ["GrpcUnaryUser", "StepShape"]

attach(name="grpc-unary")


class GrpcUnaryUser(GrpcMethodUser):
    """Makes the gRPC call of the options at each arrival of the plan."""
