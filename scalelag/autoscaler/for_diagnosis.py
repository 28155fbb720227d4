"""Replays of a run for its diagnosis: evidence of what a blind autoscaler would have decided."""

from reports.analysis.diagnosis.replayed import Phases, Replayer, TargetChange
from reports.analysis.load.concurrency import Concurrency
from scalelag.autoscaler.replay_process import replay_in_process
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun


def replayer() -> Replayer:
    """Return a function that replays deployments of one run, once each."""
    known: dict[DeploymentKey, Phases] = {}

    def phases(run: RecordedRun, key: DeploymentKey, opened: Concurrency) -> Phases:
        if key not in known:
            found = replay_in_process(run, key, opened).phases
            known[key] = tuple(
                tuple(TargetChange(one.at_s, one.before, one.after) for one in decisions)
                for decisions in found
            )
        return known[key]

    return phases
