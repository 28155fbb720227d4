"""Applications pinned to nodes by the resources that their replicas need."""

from collections.abc import Mapping, Sequence

from scalelag.cluster.apps import AppConfig


def needing(
    apps: Sequence[AppConfig],
    deployment: str,
    resources: Mapping[str, float],
    num_cpus: float = 0.1,
    **options: object,
) -> list[AppConfig]:
    """`apps` (of `resolve_app`), each replica of `deployment` needing `resources` as well.

    `num_cpus` is said again because Serve replaces all of `ray_actor_options`. `options` are further
    ones of the deployment, such as `health_check_period_s`.
    """
    needs = {"num_cpus": num_cpus, "resources": dict(resources)}
    override = {"name": deployment, "ray_actor_options": needs, **options}
    return [{**app, "deployments": [override]} for app in apps]
