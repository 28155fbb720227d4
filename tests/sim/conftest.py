"""A stand-in, an endpoint for load, and the real probe that watches the stand-in, as fixtures."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from probes.dashboard import Dashboard, Reply
from probes.pacing import Pacing
from probes.replica_probe import ReplicaProbe
from probes.tracker import ReplicaTracker
from scalelag.record.clock import Clock
from scalelag.record.rows import ControllerRestart, Gap, Poll, Row, StatusChange, Transition
from tests.sim.evidence_world import World
from tests.support.certificates import self_signed
from tests.support.servers.http_echo import Echo, running_echo
from tests.support.servers.log_server import Node, running_log_server
from tests.support.standin.process import Standin, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.waiting import wait_for

AnyRow = TypeVar("AnyRow", Poll, Transition, StatusChange, Gap, ControllerRestart)

STOP_DEADLINE_S = 30.0


class ImpatientDashboard(Dashboard):
    """The real dashboard client, with another time-out for the probe's requests."""

    read_timeout_s = 5.0

    def get(self, path: str, read_timeout_s: float | None = None) -> Reply:
        return super().get(path, read_timeout_s or self.read_timeout_s)


class Watch:
    """A probe in a thread of its own, its rows in memory."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        rate_per_s: float = 5.0,
        budget_ratio: float = 1.0,
        baseline_s: float = 0.0,
        read_timeout_s: float = 5.0,
        watched: frozenset[str] | None = None,
    ) -> None:
        clock = Clock()
        self.now = clock.now
        self.rows: list[Row] = []
        self.dashboard = ImpatientDashboard(url, clock.now, token)
        self.dashboard.read_timeout_s = read_timeout_s
        self.pacing = Pacing(rate_per_s, budget_ratio, baseline_s)
        self.probe = ReplicaProbe(
            self.dashboard, self.rows.extend, clock.now, ReplicaTracker(watched), self.pacing
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it, and raise what it was ended by, if anything."""
        self.probe.stop()
        self._thread.join(STOP_DEADLINE_S)
        assert not self._thread.is_alive(), "the probe did not end"
        self.dashboard.close()
        if self._error is not None:
            raise self._error

    def of(self, kind: type[AnyRow]) -> list[AnyRow]:
        """Its rows of one kind, in the order in which they came."""
        return [row for row in list(self.rows) if isinstance(row, kind)]

    def _run(self) -> None:
        try:
            self.probe.run()
        except BaseException as error:  # noqa: BLE001  raised again by stop()
            self._error = error


@pytest.fixture
def standin() -> Iterator[Standin]:
    """A stand-in with one steady replica."""
    with running_standin(one_deployment(steady_replica())) as standin:
        yield standin


@pytest.fixture
def world() -> Iterator[World]:
    """Nodes whose dashboard serves their logs."""
    with running_log_server() as server:
        server.nodes["n1"] = Node(files={"serve/proxy_1.log": b""})
        yield World(server)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, with its key: two files."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def dashboard() -> Iterator[object]:
    """`dashboard(url, token=None)`: a client that is closed in the end."""
    made: list[Dashboard] = []

    def make(url: str, token: str | None = None) -> Dashboard:
        made.append(Dashboard(url, time.time, token))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """An endpoint that notes what reaches it."""
    with running_echo() as echo:
        yield echo


@pytest.fixture
def target(standin, echo) -> list[str]:
    """Options that aim a run at both."""
    return ["--host", echo.url, "--dashboard", standin.url]


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """`until(condition, deadline_s)`: looks again and again until it holds."""
    return _until


@pytest.fixture(scope="session")
def watching() -> Callable[..., "contextmanager[Watch]"]:
    """`with watching(url, ...) as watch`: the probe watches until the block ends."""
    return _watching


def _until(condition: Callable[[], object], deadline_s: float = 30.0, what: str = "") -> None:
    wait_for(condition, what or repr(condition), deadline_s)


@contextmanager
def _watching(url: str, **options: object) -> Iterator[Watch]:
    watch = Watch(url, **options)  # pyright: ignore[reportArgumentType]
    watch.start()
    try:
        yield watch
    except BaseException:
        watch.probe.stop()
        raise
    watch.stop()
