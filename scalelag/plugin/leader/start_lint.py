"""Faults of a configuration that show before any load, for `run` and `doctor`."""

from collections.abc import Collection, Mapping

from probes.serve_state import ServePayload
from reports.analysis.lint.config import lint_config
from scalelag.cluster.ignored_settings import ignored_settings
from scalelag.cluster.preflight import unready_neighbours
from scalelag.cluster.unread_variables import unread_variables
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_info import LintFinding


def start_findings(
    payload: ServePayload,
    watched: Collection[DeploymentKey],
    lacks: Collection[str],
    environ: Mapping[str, str],
    ray: str | None = None,
) -> tuple[LintFinding, ...]:
    """Findings on the `watched` deployments, their neighbours, what the cluster `lacks`, and variables.

    `environ` is the environment that the cluster was started in; empty if it is not known. `ray` is its
    version of Ray.
    """
    ignored = [finding for finding in ignored_settings(payload) if finding.deployment in watched]
    return (
        *lint_config(payload.infos(watched)),
        *ignored,
        *(_no_room(lack) for lack in lacks),
        *(
            LintFinding(None, "application-not-running", text)
            for text in unready_neighbours(payload, watched).values()
        ),
        *unread_variables(environ, ray),
    )


def _no_room(lack: str) -> LintFinding:
    text = (
        f"no room: {lack}. Replicas beyond that stay STARTING: lower max_replicas, or add nodes, "
        "unless the cluster adds them itself."
    )
    return LintFinding(None, "max-replicas-beyond-room", text)
