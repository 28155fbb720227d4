"""One try of a run: the target up, the load process, the target down."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gate
from reports.render.terminal.report import render_terminal
from scalelag.cli.run.load_process import LoadProcess, option_arguments
from scalelag.cli.run.ray_load import Placement, placed
from scalelag.cli.run.retries import TryEnd, fault_of, read_judged
from scalelag.cli.run.targets import Endpoint, embedded, existing
from scalelag.cluster.apps import AppConfig
from scalelag.console import say
from scalelag.errors import EXIT_INVALID, TargetError
from scalelag.options.run_options import RunOptions
from scalelag.record.run_dir import load_run
from scalelag.record.run_info import EarlierTry


class Job:
    """What `scalelag run` was asked to do; `attempt` does it once, and can be called again.

    Without `host` each target is a cluster of its own. `given` are those of the plugin's options
    that were given, and `options` what comes of them.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        options: RunOptions,
        apps: Sequence[AppConfig],
        host: str | None,
        *,
        grpc_servicers: Sequence[str],
        cpus: int,
        wait_s: float,
        locustfiles: Sequence[Path],
        processes: int,
        placement: Placement | None,
        web: bool,
    ) -> None:
        self._given = given
        self.options = options
        self.apps = apps
        self._host = host
        self._grpc_servicers = grpc_servicers
        self._cpus = cpus
        self.wait_s = wait_s
        self._locustfiles = locustfiles
        self._processes = processes
        self._placement = placement
        self._web = web
        self._left: list[str] = []

    def attempt(self, tries: Sequence[EarlierTry]) -> TryEnd:
        """Run once, after `tries`. Raises TargetError where the target is not ready in time.

        What goes wrong with the target after a measurement was made is raised as lasting: the
        measurement stands, and is not made again.
        """
        end: TryEnd | None = None
        try:
            with self.target() as endpoint:
                end = self.load(endpoint, tries)
        except TargetError as error:
            if end is None:
                raise
            if end.fault is None:
                raise TargetError(str(error), lasting=True) from error
            say(str(error))
        if end.code < 0:
            _report_killed(-end.code, end.path)
            return TryEnd(EXIT_INVALID, end.path)
        return end

    def target(self) -> AbstractContextManager[Endpoint]:
        """The target, until the block ends. Raises TargetError where it is not ready in time."""
        if self._host is None:
            return embedded(self.apps, self._cpus, self.wait_s, self._grpc_servicers)
        return existing(
            self.apps,
            Endpoint(self._host, self.options.dashboard),
            verify=self.options.verify,
            wait_s=self.wait_s,
            left=self._left,
        )

    def load(
        self,
        endpoint: Endpoint,
        tries: Sequence[EarlierTry] = (),
        *,
        instead: Mapping[str, Any] | None = None,
        quiet: bool = False,
    ) -> TryEnd:
        """Send the load to `endpoint` and have it reported; `quiet` prints no report.

        `instead` are options in place of those that were given, None for one that is left out.
        """
        given = {**self._given, **(instead or {}), "dashboard": endpoint.dashboard}
        if endpoint.grpc_host is not None:
            given["grpc_host"] = endpoint.grpc_host
        with placed(self._placement, endpoint, verify=self.options.verify) as elsewhere:
            load = LoadProcess(
                [*option_arguments(given), "--host", endpoint.host],
                locustfiles=self._locustfiles,
                processes=self._processes,
                elsewhere=elsewhere,
                web=self._web,
                quiet=quiet,
                token=endpoint.token,
                tries=tries,
            )
            code, outcome = load.run()
            if elsewhere is not None and outcome.unstaffed:
                say(elsewhere.workers.explain())
        return TryEnd(code, outcome.path, fault_of(code, outcome, read_judged(outcome.path)))


def _report_killed(signal_number: int, path: str | None) -> None:
    """Report on what a load process that was killed has left."""
    say(f"the load process was killed by signal {signal_number}")
    if path is not None:
        recorded = load_run(Path(path))
        gates = [parse_gate(text) for text in recorded.info.options.get("gate", [])]
        render_terminal(analyse(recorded, gates), Console(), path)
