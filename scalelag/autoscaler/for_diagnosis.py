"""Replays of a run for its diagnosis: evidence of what a blind autoscaler would have decided."""

from functools import cache
from pathlib import Path

from reports.analysis.diagnosis.replayed import Phases, Replayer, TargetChange
from scalelag.autoscaler.replay_process import replay_in_process
from scalelag.record.rows import DeploymentKey


def replayer(run: Path) -> Replayer:
    """Return a function that replays a deployment of the run in directory `run`, once each."""

    @cache
    def phases(key: DeploymentKey) -> Phases:
        found = replay_in_process(run, key).phases
        return tuple(
            tuple(TargetChange(one.at_s, one.before, one.after) for one in decisions)
            for decisions in found
        )

    return phases
