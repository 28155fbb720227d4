"""Gauges of each deployment, from the samples of all ports."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable

from probes.gauges.exposition import Sample
from scalelag.record.rows import DeploymentKey
from scalelag.record.seen_rows import DeploymentGauges

_OF_CONTROLLER = ("total", "desired", "target")
_SUMS = ("queued", "running", "processing", "served", "served_old")
_MOST_DEPLOYMENTS = 500

_Values = dict[DeploymentKey, dict[str, list[Sample]]]


def gauges_of(
    samples: Iterable[Sample],
    apps: Collection[str],
    live_workers: Collection[str],
    *,
    is_whole: bool,
) -> dict[DeploymentKey, DeploymentGauges]:
    """Return the gauges of each deployment of `apps`.

    The controller writes one value a deployment. If a restart has left two, that of one of
    `live_workers` counts, and none if that does not settle it. Routers and replicas write one each:
    they are added up, if the samples are from all ports (`is_whole`).
    """
    found = _by_deployment(samples, apps)
    return {
        key: _gauges(found[key], live_workers, is_whole=is_whole)
        for key in sorted(found)[:_MOST_DEPLOYMENTS]
    }


def without_controller(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples that routers and replicas write."""
    return [one for one in samples if one.quantity not in _OF_CONTROLLER]


def worker_of(sample: Sample) -> str:
    """Process that wrote `sample`; empty if its labels do not tell."""
    return sample.labels.get("WorkerId") or sample.labels.get("worker_id") or ""


def _by_deployment(samples: Iterable[Sample], apps: Collection[str]) -> _Values:
    found: _Values = {}
    for sample in samples:
        is_ours = sample.key and sample.labels["application"] in apps
        if is_ours and math.isfinite(sample.value) and sample.value >= 0:
            of_key = found.setdefault(sample.key, defaultdict(list))
            of_key[sample.quantity].append(sample)
    return found


def _gauges(
    found: dict[str, list[Sample]], live_workers: Collection[str], *, is_whole: bool
) -> DeploymentGauges:
    one = {name: _single(found.get(name, ()), live_workers) for name in _OF_CONTROLLER}
    sums = {name: _sum(found.get(name, ())) if is_whole else None for name in _SUMS}
    running = sums["processing"] if sums["running"] is None else sums["running"]
    served = sums["served_old"] if sums["served"] is None else sums["served"]
    return DeploymentGauges(
        total=one["total"],
        desired=one["desired"],
        target=one["target"],
        queued=sums["queued"],
        running=running,
        served=served,
    )


def _single(samples: Collection[Sample], live_workers: Collection[str]) -> float | None:
    values = {one.value for one in samples}
    if len(values) > 1:
        values = {one.value for one in samples if worker_of(one) in live_workers}
    return values.pop() if len(values) == 1 else None


def _sum(samples: Collection[Sample]) -> float | None:
    return sum(one.value for one in samples) if samples else None
