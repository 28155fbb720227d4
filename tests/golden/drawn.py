"""Charts of the hand-built analyses: what would be drawn of them, made from their curves."""

from samples import HOSTILE

from reports.model.charts import (
    Analysis,
    Band,
    Charts,
    DecisionMark,
    DeploymentCharts,
    LoadBins,
    ReplicaBar,
    ReplicaCurve,
    Series,
    Stretch,
)


def charts(analysis: Analysis) -> Charts:
    """Curves as they are, two replicas a deployment (one whose name means harm), one decision."""
    curves = analysis.curves
    end_s = max(1.0, analysis.report.run.duration_s)
    scaling = {
        key: series
        for key, series in curves.replicas.items()
        if analysis.report.deployments[key].autoscaling is not None
    }
    return Charts(
        end_s=end_s,
        load=bins(curves.times_s or (0.0,), curves.offered_rps or (0.0,)),
        deployments={key: deployment(series, end_s) for key, series in scaling.items()},
        unseen=(Band(61.2, 63.9, "answer 503"),) if analysis.report.probe.gaps else (),
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


def deployment(series: Series, end_s: float) -> DeploymentCharts:
    count = len(series.times_s)
    return DeploymentCharts(
        curve=ReplicaCurve(
            times_s=series.times_s[::50],
            starting=(0,) * len(series.times_s[::50]),
            running=series.running[::50],
            stopping=(0,) * len(series.times_s[::50]),
            target=series.target[::50],
        )
        if count
        else ReplicaCurve((), (), (), (), ()),
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
            ),
        ),
        decisions=(DecisionMark(25.0, 24.9, 25.1, 1, 4),),
    )
