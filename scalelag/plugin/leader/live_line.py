"""Progress of a run on stderr: one live line, or plain lines if that is no terminal."""

from collections import Counter
from collections.abc import Iterable

import gevent
from rich.console import Console
from rich.live import Live
from rich.text import Text

from scalelag.foreign import sanitized
from scalelag.plan.stages import LoadPlan
from scalelag.plugin.leader.run import LeaderRun
from scalelag.record.rows import DeploymentKey
from scalelag.wording import count

LIVE_INTERVAL_S = 0.5
LOG_INTERVAL_S = 5.0


def show(run: LeaderRun) -> None:
    """Show the progress of `run` on stderr until the greenlet is killed."""
    line = LiveLine(run, Console(stderr=True))
    line.start()
    try:
        while True:
            gevent.sleep(line.interval_s)
            line.update()
    finally:
        line.stop()


class LiveLine:
    """Shows `run` on `console`; call `update` every `interval_s` seconds."""

    def __init__(self, run: LeaderRun, console: Console) -> None:
        self._run = run
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )
        self._last_rows = 0
        self._last_s = run.elapsed_s

    @property
    def interval_s(self) -> float:
        """Seconds between updates."""
        return LIVE_INTERVAL_S if self._live else LOG_INTERVAL_S

    def start(self) -> None:
        """Show the first line."""
        if self._live:
            self._live.start()
        self.update()

    def update(self) -> None:
        """Show the progress now."""
        line = sanitized(self._line())
        if self._live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            self._console.print(Text(line), soft_wrap=True)

    def stop(self) -> None:
        """Remove the live line."""
        if self._live:
            self._live.stop()

    def _line(self) -> str:
        run, plan = self._run, self._run.options.plan
        elapsed_s = run.elapsed_s
        counts = run.collector.counts
        seconds = max(elapsed_s - self._last_s, 1e-9)
        achieved = (counts.rows - self._last_rows) / seconds
        self._last_rows, self._last_s = counts.rows, elapsed_s
        return " · ".join(
            part
            for part in (
                _own_shape(run, elapsed_s) if run.options.shape else _stage(plan, elapsed_s),
                f"{achieved:.0f} requests/s",
                self._replicas(),
                f"{count(counts.failed, 'error')}",
                self._lost(),
                self._time_left(plan, elapsed_s),
            )
            if part
        )

    def _replicas(self) -> str:
        probe = self._run.probe
        if probe.blind_reason:
            return f"probe blind: {probe.blind_reason}"
        if probe.latest is None:
            return "no poll yet"
        names = short_names(probe.latest.deployments)
        return ", ".join(
            f"{names[key]} {seen.counts.get('RUNNING', 0)}/"
            f"{'?' if seen.target is None else seen.target} RUNNING/target"
            for key, seen in sorted(probe.latest.deployments.items())
        )

    def _lost(self) -> str:
        workers = self._run.workers
        lost = len(workers.all) - len(workers.living)
        return (
            f"{lost} of {count(len(workers.all), 'load process', 'load processes')} lost"
            if lost
            else ""
        )

    def _time_left(self, plan: LoadPlan, elapsed_s: float) -> str:
        if self._run.options.shape is not None:
            return ""
        if elapsed_s < plan.duration_s:
            return f"{plan.duration_s - elapsed_s:.0f} s left"
        return f"watching the scale-down (at most {self._run.options.drain_s:.0f} s)"


def _own_shape(run: LeaderRun, elapsed_s: float) -> str:
    if elapsed_s < 0:
        return "starting"
    return f"{count(run.users_wanted(), 'user')} by {run.options.shape}"


def _stage(plan: LoadPlan, elapsed_s: float) -> str:
    if elapsed_s < 0:
        return "starting"
    stage = plan.stage_at(elapsed_s)
    if stage is None:
        return "load done"
    number = plan.stages.index(stage) + 1
    level = stage.level_at(elapsed_s)
    return f"stage {number}/{len(plan.stages)} · planned {level:g} {plan.unit}"


def short_names(keys: Iterable[DeploymentKey]) -> dict[DeploymentKey, str]:
    """Names of deployments without their application, where no other application has one like it.

    Where one of the names has a slash in it, it is not told where the application's ends.
    """
    names = {key: key.rpartition("/")[2] if key.count("/") == 1 else key for key in keys}
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else key for key, name in names.items()}
