"""Serve's scaling API (Ray 2.51): sets the number of replicas of a deployment without a policy."""

from urllib.parse import quote

from probes.dashboard import Dashboard, Reply
from probes.serve_state import ServePayload
from scalelag.errors import RetryAdvice, TargetError
from scalelag.ray_versions import SCALER_ALLOWED, is_before
from scalelag.record.rows import DeploymentKey


def check_scaler(there: ServePayload, key: DeploymentKey, ray: str | None) -> None:
    """Raise TargetError if Serve would refuse another target for deployment `key`."""
    info = there.infos([key]).get(key)
    if info is not None and not info.external_scaler and not is_before(ray, SCALER_ALLOWED):
        raise TargetError(
            f"{key} cannot be scaled by Serve's API: its application does not allow it. Deploy it with "
            "external_scaler_enabled: true in its Serve config, and without autoscaling_config.",
            retry=RetryAdvice.NEVER,
        )


def post_target(dashboard: Dashboard, app: str, deployment: str, replicas: int) -> Reply:
    """Set the target of a deployment. Raises DashboardError with Serve's message if it refuses."""
    path = (
        f"/api/v1/applications/{quote(app, safe='')}/deployments/{quote(deployment, safe='')}/scale"
    )
    return dashboard.post(path, {"target_num_replicas": replicas})
