"""The processes that send a run's load, as the one that leads it sees them: clocks and losses."""

from collections.abc import Callable, Iterable
from typing import Any

import gevent
from locust.runners import STATE_MISSING, MasterRunner, Runner

from scalelag.errors import TargetError
from scalelag.plugin.leader.worker_state import EXACT, ClockMeter, Member
from scalelag.plugin.worker.worker import PING_MESSAGE
from scalelag.record.clock import Clock
from scalelag.record.run_info import LoadWorkerInfo

_PINGS = 10
_PING_GAP_S = 0.02
_MUSTER_S = 3.0
_LOOK_S = 0.25
_LOOKS_A_WINDOW = 12


class Fleet:
    """The processes among which a run was shared out; they stay the same until it ends.

    What becomes of them is told to `say`, and `changed` is called when it has.
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
        self._strangers: set[str] = set()
        self._zero_s = 0.0
        self._watcher: gevent.Greenlet[[], None] | None = None
        self.members: tuple[Member, ...] = ()

    def muster(self) -> None:
        """Find out who is there, and how far their clocks are off.

        Raises TargetError where nobody answers.
        """
        if not isinstance(self._runner, MasterRunner):
            # The load is sent by this very process.
            self.members = (Member(0, str(getattr(self._runner, "client_id", "")), _exact()),)
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
        self.members = tuple(
            Member(index, name, self._meters[name]) for index, name in enumerate(answered)
        )

    def _measure(self) -> None:
        deadline_s = self._clock.now() + _MUSTER_S
        meters = self._meters.values()
        while self._clock.now() < deadline_s and any(meter.answers < _PINGS for meter in meters):
            self._ping(self._meters)
            gevent.sleep(_PING_GAP_S)
        for meter in meters:
            meter.close_window()

    def _ping(self, names: Iterable[str]) -> None:
        for name in names:
            self._runner.send_message(PING_MESSAGE, {"sent_s": self._clock.now()}, name)

    def pong(self, name: str, data: dict[str, Any]) -> None:
        """Take a worker's answer to a ping."""
        received_s = self._clock.now()
        if name in self._meters:
            self._meters[name].add(data["sent_s"], received_s, data["at_s"])
        for member in self.members:
            if member.id == name:
                member.heard_s = received_s

    def takes(self, name: str) -> bool:
        """Whether the worker of that id takes part; everybody does until the muster."""
        return not self.members or any(member.id == name for member in self.members)

    def watch(self, zero_s: float) -> None:
        """Look after the members from now on; the plan starts at `zero_s`."""
        self._zero_s = zero_s
        if isinstance(self._runner, MasterRunner):
            self._watcher = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Look a last time. From here on Locust's workers go away because they are told to."""
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            watcher.kill()
            self._look()
            self._close_window()

    @property
    def living(self) -> set[int]:
        """Numbers of those that are not lost."""
        return {member.index for member in self.members if not member.gone}

    @property
    def deserted(self) -> bool:
        """Whether every one is lost."""
        return bool(self.members) and not self.living

    def infos(self) -> tuple[LoadWorkerInfo, ...]:
        """What of them goes on record."""
        return tuple(member.info() for member in self.members)

    def lose(self, member: Member, reason: str) -> None:
        """Note that `member` is lost, since it was last heard of."""
        member.gone = True
        member.lost_reason = reason
        member.lost_at_s = max(member.heard_s, self._zero_s) - self._zero_s
        member.back_at_s = None
        left = f"the run goes on with {len(self.living)} of {len(self.members)}"
        self._say(
            f"load process {member.index} on {member.host} is lost since {member.lost_at_s:.1f} s: "
            f"{reason}; {'nobody is left' if self.deserted else left}"
        )
        self._changed()

    def _watch(self) -> None:
        looks = 0
        while True:
            gevent.sleep(_LOOK_S)
            self._look()
            self._ping(member.id for member in self.members if not member.gone)
            looks += 1
            if looks % _LOOKS_A_WINDOW == 0:
                self._close_window()

    def _close_window(self) -> None:
        for member in self.members:
            member.meter.close_window()

    def _look(self) -> None:
        for member in self.members:
            reason = self._absence(member.id)
            if reason is not None and not member.gone:
                self.lose(member, reason)
            elif reason is None and member.gone:
                self._take_back(member)
        for name in self._connected() - self._strangers:
            if not self.takes(name):
                self._strangers.add(name)
                self._say(f"worker {name} came after the load was shared out: the next run has it")

    def _take_back(self, member: Member) -> None:
        member.gone = False
        member.back_at_s = self._clock.now() - self._zero_s
        self._say(f"load process {member.index} on {member.host} is back")
        self._changed()

    def _absence(self, name: str) -> str | None:
        """Why a worker counts as lost; None if it does not. Locust misses a heartbeat for 4 s."""
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
