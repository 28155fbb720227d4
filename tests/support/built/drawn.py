"""Charts of the hand-built analyses."""

from itertools import pairwise

from reports.model.charts import (
    Band,
    Charts,
    DecisionMark,
    DeploymentCharts,
    LoadBins,
    ReplicaBar,
    ReplicaCurve,
    Stretch,
)

HOSTILE = "[red]x[/red]<script>"
HOSTILE_KEY = f"{HOSTILE}/Proxy\x1b[31m\u202e"


def curve(*changes: tuple[float, int, int | None], end_s: float = 170.0) -> ReplicaCurve:
    """Replicas of a deployment; `changes` are (from when on, RUNNING, target)."""
    seen = [*changes, (end_s, *changes[-1][1:])]
    return ReplicaCurve(
        times_s=tuple(float(at_s) for at_s, _, _ in seen),
        starting=(0,) * len(seen),
        running=tuple(running for _, running, _ in seen),
        stopping=(0,) * len(seen),
        target=tuple(target for _, _, target in seen),
    )


def charts(levels: dict[float, float], ends_s: int, *, gap: bool = False, **replicas: ReplicaCurve):
    """Charts of `ends_s` seconds; `levels` are rates by the second from which on they hold."""
    offered = [next(v for at_s, v in reversed(levels.items()) if at_s <= t) for t in range(ends_s)]
    return Charts(
        end_s=max(1.0, float(ends_s)),
        load=bins(tuple(map(float, range(ends_s))) or (0.0,), tuple(offered) or (0.0,)),
        deployments={key: deployment(own, ends_s) for key, own in replicas.items()},
        unseen=(Band(61.2, 63.9, "answer 503"),) if gap else (),
        thinned=(f"{HOSTILE}: 1,000 of 2,000 replicas are drawn",),
    )


def bins(from_s: tuple[float, ...], offered_rps: tuple[float, ...]) -> LoadBins:
    slow = [100.0 * (1 + place % 7) if offered_rps[place] else None for place in range(len(from_s))]
    return LoadBins(
        bin_s=1.0,
        from_s=from_s,
        offered_rps=offered_rps,
        completed_rps=tuple(min(rate, 320.0) for rate in offered_rps),
        failed_rps=tuple(max(0.0, rate - 320.0) for rate in offered_rps),
        latency_p50_ms=tuple(slow),
        latency_p95_ms=tuple(slow),
        latency_p99_ms=tuple(slow),
        latency_max_ms=tuple(value and 9 * value for value in slow),
    )


def deployment(own: ReplicaCurve, end_s: float) -> DeploymentCharts:
    """Two replicas, one of them with a name that means harm, and the decisions of the curve."""
    return DeploymentCharts(
        curve=own,
        bars=(
            ReplicaBar("g9aifu0c", "4be1", (Stretch("RUNNING", 0.0, end_s),)),
            ReplicaBar(
                f"<i>{HOSTILE}</i>%{{y}}\u202e",
                "<b>node</b>",
                (
                    Stretch("allocate", 25.0, 27.7),
                    Stretch("initialize", 27.7, 29.2),
                    Stretch("RUNNING", 29.2, 100.0),
                    Stretch("STOPPING", 100.0, 102.0),
                ),
                critical_in=(1,),
                log_file=f"/serve/replica_{HOSTILE}.log",
            ),
        ),
        decisions=tuple(
            DecisionMark(at_s, at_s - 0.1, at_s + 0.1, before or 0, after or 0)
            for (_, before), (at_s, after) in pairwise(zip(own.times_s, own.target, strict=True))
            if before != after
        ),
    )
