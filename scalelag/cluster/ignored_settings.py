"""Findings on settings in an application's configuration that Serve ignored.

Serve silently drops keys that it does not know, also in `autoscaling_config`: the deployment then lacks
them. Seen with Ray 2.60.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from probes.serve_state import ServePayload
from scalelag.record.effective import is_number
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_info import DeploymentInfo, LintFinding
from scalelag.record.secrets import without_secrets
from scalelag.wording import brief

_AUTOSCALING = "autoscaling_config"
_ACTOR = "ray_actor_options"
_KNOWN: dict[str, None] = dict.fromkeys(
    (
        *("num_replicas", "max_ongoing_requests", "max_queued_requests", "user_config"),
        *("graceful_shutdown_wait_loop_s", "graceful_shutdown_timeout_s", "max_replicas_per_node"),
        *("health_check_period_s", "health_check_timeout_s", "placement_group_bundles"),
        *(_AUTOSCALING, _ACTOR, "num_cpus", "num_gpus", "resources", "memory", "runtime_env"),
        *("import_path", "route_prefix", "args", "deployments", "logging_config"),
    )
)


def ignored_settings(payload: ServePayload) -> list[LintFinding]:
    """Findings on applications that were deployed from a configuration, not from Python."""
    found: list[LintFinding] = []
    for app_name, app in sorted(payload.applications.items()):
        for asked in _deployments(app.deployed_app_config):
            deployed = app.deployments.get(str(asked.get("name")))
            if deployed is not None:
                key = f"{app_name}/{asked['name']}"
                found += _compare(key, asked, deployed.info())
    return found


def dropped_settings(
    applications: Iterable[Mapping[str, Any]], payload: ServePayload
) -> list[LintFinding]:
    """Findings on keys of a config file that are missing in Serve's own copy.

    The copy holds exactly the keys that were set, so a missing key was dropped.
    """
    found: list[LintFinding] = []
    for given in applications:
        app_name = str(given.get("name", "default"))
        app = payload.applications.get(app_name)
        if app is None or app.deployed_app_config is None:
            continue
        found += _dropped(None, f"{app_name}: ", given, app.deployed_app_config)
        kept = {str(d.get("name")): d for d in _deployments(app.deployed_app_config)}
        for asked in _deployments(given):
            taken = kept.get(str(asked.get("name")))
            if taken is not None:
                key = f"{app_name}/{asked['name']}"
                found += _dropped(key, "", asked, taken)
                found += _dropped(key, f"{_ACTOR}.", _inner(asked), _inner(taken))
    return found


def _inner(deployment: Mapping[str, Any]) -> dict[str, Any]:
    options = deployment.get(_ACTOR)
    return options if isinstance(options, dict) else {}


def _deployments(config: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    listed = (config or {}).get("deployments")
    return [d for d in listed if isinstance(d, dict)] if isinstance(listed, list) else []


def _compare(
    key: DeploymentKey, asked: Mapping[str, Any], deployed: DeploymentInfo
) -> list[LintFinding]:
    found = _different(key, asked, deployed.config, "")
    autoscaling = asked.get(_AUTOSCALING)
    if isinstance(autoscaling, dict) and deployed.autoscaling is not None:
        found += [
            _unread(key, f"{_AUTOSCALING}.{name}", autoscaling[name], name, deployed.autoscaling)
            for name in sorted(autoscaling.keys() - deployed.autoscaling.keys())
            if autoscaling[name] is not None
        ]
        found += _different(key, autoscaling, deployed.autoscaling, f"{_AUTOSCALING}.")
    return found


def _dropped(
    key: DeploymentKey | None, prefix: str, asked: Mapping[str, Any], taken: Mapping[str, Any]
) -> list[LintFinding]:
    return [
        _unread(key, f"{prefix}{name}", asked[name], name, _KNOWN)
        for name in sorted(asked.keys() - taken.keys())
    ]


def _unread(
    key: DeploymentKey | None, path: str, value: object, name: str, known: Mapping[str, Any]
) -> LintFinding:
    near = difflib.get_close_matches(name, known, n=1)
    meant = ""
    if near:
        in_effect = known[near[0]]
        effect = f", now {brief(in_effect)}" if in_effect is not None else ""
        meant = f" Did you mean {near[0]}{effect}?"
    shown = brief(without_secrets({name: value})[name])
    text = f"{path} {shown} is read nowhere: Serve knows no such setting and left it out."
    return LintFinding(key, "setting-read-nowhere", f"{text}{meant or ' Remove it.'}")


def _different(
    key: DeploymentKey, asked: Mapping[str, Any], deployed: Mapping[str, Any], prefix: str
) -> list[LintFinding]:
    return [
        LintFinding(
            key,
            "setting-not-in-effect",
            f"{prefix}{name} is {brief(deployed[name])}, although the application's configuration "
            f"asks for {brief(asked[name])}: that has not been carried out. Check the "
            "application's status, and deploy it again.",
        )
        for name in sorted(asked.keys() & deployed.keys())
        if is_number(asked[name]) and is_number(deployed[name]) and asked[name] != deployed[name]
    ]
