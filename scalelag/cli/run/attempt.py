"""One attempt at a run: the target up, the load process, the target down."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gates
from reports.model.formats import Details
from reports.render.terminal.report import render_terminal
from scalelag.cli.run.load_process import LoadProcess, option_arguments
from scalelag.cli.run.ray_load import Placement, placed
from scalelag.cli.run.retries import AttemptResult, fault_of, read_validity
from scalelag.cli.run.targets import Endpoint, embedded, existing
from scalelag.cluster.apps import AppConfig
from scalelag.cluster.events import apps_to_deploy
from scalelag.cluster.ray_environment import RayChoice
from scalelag.console import say
from scalelag.errors import EXIT_INVALID, RetryAdvice, TargetError
from scalelag.options.run_options import RunOptions
from scalelag.record.run_dir import load_run
from scalelag.record.run_info import EarlierAttempt


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it was asked for. `run` makes it once, and can be called again.

    `given` are the plugin's options on the command line, and `options` all of them, typed. Without
    `host` every attempt starts a cluster; if it is empty, the locustfile's users name it. `headers` go
    to the dashboard. `locust` are arguments for Locust, `launched` options for the record. `left` are
    applications that could not be deleted.
    """

    given: Mapping[str, Any]
    options: RunOptions
    apps: Sequence[AppConfig]
    host: str | None
    headers: Mapping[str, str]
    grpc_servicers: Sequence[str]
    cpus: int
    ray: RayChoice | None
    app_dir: Path = Path()
    wait_s: float
    locustfiles: Sequence[Path]
    locust: Sequence[str] = ()
    processes: int
    placement: Placement | None
    web: bool
    launched: Mapping[str, Any] = {}
    left: list[str] = msgspec.field(default_factory=list[str])

    def run(self, earlier: Sequence[EarlierAttempt], *, quiet: bool = False) -> AttemptResult:
        """Run once, after the `earlier` attempts. Raises TargetError if the target is not ready.

        `quiet` prints no report.

        A measurement that was made stands: a failure of the target after it is raised as one that
        no other attempt helps against.
        """
        result: AttemptResult | None = None
        try:
            with self.target() as endpoint:
                result = self.load(endpoint, earlier, quiet=quiet)
        except TargetError as error:
            if result is None:
                raise
            if result.fault is None:
                raise TargetError(str(error), retry=RetryAdvice.NEVER) from error
            say(str(error))
        if result.code < 0:
            _report_killed(-result.code, result.path, self.options.details)
            return AttemptResult(EXIT_INVALID, result.path)
        return result

    def target(self) -> AbstractContextManager[Endpoint]:
        """Return the target, which is there within the block. Raises TargetError if it is not ready."""
        if self.host is None:
            return embedded(
                self.apps, self.cpus, self.wait_s, self.grpc_servicers, self.ray, self.app_dir
            )
        return existing(
            self.apps,
            Endpoint(self.host, self.options.dashboard),
            verify=self.options.verify,
            headers=self.headers,
            wait_s=self.wait_s,
            left=self.left,
            replacing=apps_to_deploy(self.options.events),
        )

    def load(
        self,
        endpoint: Endpoint,
        earlier: Sequence[EarlierAttempt] = (),
        *,
        instead: Mapping[str, Any] | None = None,
        quiet: bool = False,
    ) -> AttemptResult:
        """Send the load to `endpoint` and have it reported; `quiet` prints no report.

        `instead` are options that replace those that were given; None leaves one out.
        """
        given = {**self.given, **(instead or {}), "dashboard": endpoint.dashboard}
        if endpoint.grpc_host is not None:
            given["grpc_host"] = endpoint.grpc_host
        verify = self.options.verify
        with placed(self.placement, endpoint, verify=verify, headers=self.headers) as remote:
            load = LoadProcess(
                option_arguments(given) + ([f"--host={endpoint.host}"] if endpoint.host else []),
                passed_on=self.locust,
                locustfiles=self.locustfiles,
                processes=self.processes,
                remote=remote,
                web=self.web,
                quiet=quiet,
                token=endpoint.token,
                earlier=earlier,
                launched=self.launched,
            )
            code, outcome = load.run()
            if remote is not None and outcome.unstaffed:
                say(remote.workers.explain())
        fault = fault_of(code, outcome, read_validity(outcome.path))
        return AttemptResult(code, outcome.path, fault)


def _report_killed(signal_number: int, path: str | None, details: Details) -> None:
    """Report on the record that a killed load process has left."""
    say(f"the load process was killed by signal {signal_number}")
    if path is not None:
        recorded = load_run(Path(path))
        gates = parse_gates(recorded.info.options.get("gate", []))
        render_terminal(analyse(recorded, gates), Console(), path, details)
