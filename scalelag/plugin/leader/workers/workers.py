"""Workers of a run, as its leader sees them: clocks and losses.

The leader is the master, or the single process, which is then its own only worker.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

import gevent
from locust.runners import STATE_MISSING, MasterRunner, Runner

from scalelag.errors import TargetError
from scalelag.options.run_options import LoadOptions, RunOptions
from scalelag.plugin.leader.workers.state import EXACT, ClockMeter, RunWorker
from scalelag.plugin.worker.messages import (
    PING_MESSAGE,
    STAGE_END_MESSAGE,
    START_MESSAGE,
    Assignment,
    Ping,
    Pong,
    StageEnd,
    encoded,
)
from scalelag.record.clock import Clock
from scalelag.record.run_info import LoadWorkerInfo

_PINGS = 10
_PING_GAP_S = 0.02
_GATHER_S = 3.0
# On a busy machine a worker may have no turn for some seconds; one of another locustfile never answers.
_SILENT_S = 15.0
_LAST_ROWS_S, _SLOW_ROWS_S = 10.0, 30.0
_ROWS_POLL_S = 0.05
_POLL_S = 0.25
_POLLS_PER_WINDOW = 12


class RunWorkers:
    """Workers among which a run was shared out; they stay the same until it ends.

    A loss or a return is passed to `say`, then `changed` is called.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._say = say
        self._changed = changed
        self._meters: dict[str, ClockMeter] = {}
        self._late: set[str] = set()
        self._zero_s = 0.0
        self._watcher: gevent.Greenlet[[], None] | None = None
        self.all: tuple[RunWorker, ...] = ()

    def gather(self) -> None:
        """Find the workers that answer, and the offsets of their clocks.

        Raises TargetError if none answers.
        """
        if not isinstance(self._runner, MasterRunner):
            # The load is sent by this very process.
            self.all = (RunWorker(0, str(getattr(self._runner, "client_id", "")), _exact()),)
            return
        clients = self._runner.clients
        ready = clients.ready + clients.running + clients.spawning
        self._meters = {client.id: ClockMeter() for client in ready}
        self._measure()
        answered = sorted(name for name, meter in self._meters.items() if meter.offset)
        for name in sorted(self._meters.keys() - set(answered)):
            self._say(
                f"worker {name} does not answer: does it run the same locustfile? It is left out"
            )
        if not answered:
            raise TargetError(
                "No load process answers: start workers with the same locustfile and --worker, or "
                "use --processes."
            )
        self.all = tuple(
            RunWorker(index, name, self._meters[name]) for index, name in enumerate(answered)
        )

    def shares(self, options: RunOptions) -> list[LoadOptions]:
        """Options of each worker, by its number."""
        count = len(self.all)
        return [options.for_share(index, count) for index in range(count)]

    def assign(self, run: str, zero_s: float, shares: Sequence[LoadOptions]) -> None:
        """Send each worker its share of `run`, and the plan's start in Unix seconds."""
        for worker in self.all:
            assignment = Assignment(
                run=run,
                zero_s=zero_s,
                index=worker.index,
                count=len(shares),
                options=shares[worker.index],
                ahead_s=worker.ahead_s,
            )
            self._runner.send_message(START_MESSAGE, encoded(assignment), worker.id)

    def end_stage(self, end: StageEnd) -> None:
        """Tell each worker that a stage of the plan ends early."""
        for worker in self.all:
            self._runner.send_message(STAGE_END_MESSAGE, encoded(end), worker.id)

    def _measure(self) -> None:
        begun_s = self._clock.now()
        meters = self._meters.values()
        while any(meter.answers < _PINGS for meter in meters):
            is_silent = any(meter.answers == 0 for meter in meters)
            if self._clock.now() - begun_s >= (_SILENT_S if is_silent else _GATHER_S):
                break
            self._ping(self._meters)
            gevent.sleep(_PING_GAP_S)
        for meter in meters:
            meter.close_window()

    def _ping(self, names: Iterable[str]) -> None:
        for name in names:
            self._runner.send_message(PING_MESSAGE, encoded(Ping(self._clock.now())), name)

    def pong(self, name: str, pong: Pong) -> None:
        """Take a worker's answer to a ping."""
        received_s = self._clock.now()
        if name in self._meters:
            self._meters[name].add(pong.sent_s, received_s, pong.at_s)
        for worker in self.all:
            if worker.id == name:
                worker.heard_s = received_s

    def takes(self, name: str) -> bool:
        """True if the worker of that id takes part; before `gather` every one does."""
        if not isinstance(self._runner, MasterRunner):
            return True  # Locust calls the single process "local" here
        return not self.all or any(worker.id == name for worker in self.all)

    def watch(self, zero_s: float) -> None:
        """Watch the workers from now on; the plan starts at `zero_s`."""
        self._zero_s = zero_s
        if isinstance(self._runner, MasterRunner):
            self._watcher = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Poll a last time. From here on workers leave because they are told to."""
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            watcher.kill()
            self._poll()
            self._close_window()

    @property
    def living(self) -> set[int]:
        """Numbers of the workers that are not lost."""
        return {worker.index for worker in self.all if not worker.gone}

    @property
    def deserted(self) -> bool:
        """True if every worker is lost."""
        return bool(self.all) and not self.living

    def infos(self) -> tuple[LoadWorkerInfo, ...]:
        """Rows for the record, one a worker."""
        return tuple(worker.info() for worker in self.all)

    def await_last_rows(self, came: Collection[int]) -> None:
        """Wait until `came` has all that are left, by number; lose those that it lacks at the end.

        One that is there, and has no turn on a busy machine, is waited for longer.
        """
        begun_s = self._clock.now()
        while missing := [one for one in self.all if one.index in self.living - set(came)]:
            is_slow = any(self._absence(worker.id) is None for worker in missing)
            if self._clock.now() - begun_s >= (_SLOW_ROWS_S if is_slow else _LAST_ROWS_S):
                break
            gevent.sleep(_ROWS_POLL_S)
        for worker in missing:
            self.lose(worker, "its last rows did not come")

    def lose(self, worker: RunWorker, reason: str) -> None:
        """Note that `worker` is lost since it was last heard of."""
        worker.gone = True
        worker.lost_reason = reason
        worker.lost_at_s = max(worker.heard_s, self._zero_s) - self._zero_s
        worker.back_at_s = None
        left = f"the run goes on with {len(self.living)} of {len(self.all)}"
        self._say(
            f"load process {worker.index} on {worker.host} is lost since {worker.lost_at_s:.1f} s: "
            f"{reason}; {'nobody is left' if self.deserted else left}"
        )
        self._changed()

    def _watch(self) -> None:
        polls = 0
        while True:
            gevent.sleep(_POLL_S)
            self._poll()
            self._ping(worker.id for worker in self.all if not worker.gone)
            polls += 1
            if polls % _POLLS_PER_WINDOW == 0:
                self._close_window()

    def _close_window(self) -> None:
        for worker in self.all:
            worker.meter.close_window()

    def _poll(self) -> None:
        for worker in self.all:
            reason = self._absence(worker.id)
            if reason is not None and not worker.gone:
                self.lose(worker, reason)
            elif reason is None and worker.gone:
                self._take_back(worker)
        for name in self._connected() - self._late:
            if not self.takes(name):
                self._late.add(name)
                self._say(f"worker {name} came after the load was shared out: the next run has it")

    def _take_back(self, worker: RunWorker) -> None:
        worker.gone = False
        worker.back_at_s = self._clock.now() - self._zero_s
        self._say(f"load process {worker.index} on {worker.host} is back")
        self._changed()

    def _absence(self, name: str) -> str | None:
        """Reason why a worker counts as lost, if it does. Locust misses a heartbeat for 4 s."""
        if not isinstance(self._runner, MasterRunner):
            return None
        client = self._runner.clients.get(name)
        if client is None:
            return "it ended"
        return "its heartbeat is missing" if client.state == STATE_MISSING else None

    def _connected(self) -> set[str]:
        return set(self._runner.clients) if isinstance(self._runner, MasterRunner) else set()


def _exact() -> ClockMeter:
    return ClockMeter(EXACT)
