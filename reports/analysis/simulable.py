"""Reasons for which a record cannot be simulated with other settings."""

from reports.analysis.lag.policy import policy_of, why_no_policy
from reports.analysis.load.part import number_of
from reports.analysis.seen.routing import routed
from scalelag.record.application_info import application_name
from scalelag.record.blocks import blocks
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

ENOUGH = 50
"""Answered requests from which service times can be estimated."""


def why_not_simulated(
    run: RecordedRun, key: DeploymentKey, *, own_policy: bool = False
) -> str | None:
    """Reason for which `scalelag whatif` cannot answer for `key`, as far as rows tell without a trial.

    `own_policy`: the user supplies the policy with which the run was made.
    """
    return _of_settings(run, key, own_policy=own_policy) or _of_rows(run, key)


def is_scaled(info: DeploymentInfo | None) -> bool:
    """Return True if the number of replicas can change: bounds that are equal fix it."""
    config = info.autoscaling if info is not None else None
    if config is None:
        return False
    least, most = config.get("min_replicas"), config.get("max_replicas")
    return least is None or least != most


def _of_settings(run: RecordedRun, key: DeploymentKey, *, own_policy: bool) -> str | None:
    target = run.info.target
    described = target.deployments.get(key)
    policy = policy_of(described, run.info.versions.ray)
    if described is None:
        return f"it has no deployment {key}; it has {', '.join(target.watched)}"
    if policy is None:
        return f"{key}: {why_no_policy(described)}: no autoscaler of Serve's decided"
    if policy.scaling.external:
        return f"of {key} {policy.whose}"
    if policy.whose is not None and not own_policy:
        scaling = policy.scaling
        of_all = " --policy-of-application (scalelag whatif)" if scaling.of_application else ""
        return f"of {key} {policy.whose}. Give it with --policy {scaling.own_policy}{of_all}"
    scaled = [
        other
        for other in target.watched
        if other != key and is_scaled(target.deployments.get(other))
    ]
    if scaled:
        return (
            f"{', '.join(scaled)} scale with {key}, and it holds the time of a request in all of them "
            "together, not in each. Simulate an application with one autoscaled deployment"
        )
    return None


def _of_rows(run: RecordedRun, key: DeploymentKey) -> str | None:
    if run.configs or run.restarts or run.capacities:
        return "settings, versions or the controller changed while it went on"
    rows = rows_of(run, key)
    if isinstance(rows, str):
        return rows
    if rows.count < run.requests.count and run.info.plan.unit == "users":
        return "its users wait for several applications in turn, and one is simulated"
    answered = sum(number_of(rows.error[block] < 0) for block in blocks(rows.count))
    if answered < ENOUGH:
        return f"the record holds {answered} answered requests, fewer than {ENOUGH}"
    came = (row for row in run.transitions if row.deployment == key and row.to_state == "RUNNING")
    if all(row.lo_s is None for row in came):
        return NO_STARTS
    return None


def rows_of(run: RecordedRun, key: DeploymentKey) -> RequestColumns | str:
    """Return the requests for the application of a deployment, or why they cannot be told."""
    return routed(run.requests, run.info, application_name(key, run.info.target.applications))


NO_STARTS = (
    "it saw no replica start, so that nothing is known of how long that takes. "
    "Record a run whose load steps up"
)
