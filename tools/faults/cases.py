"""The faults: how each is made, and what record and report must have of it."""

import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from scalelag.record.rows import PROBE_ENDED, PROBE_HELD_UP
from tests.support.standin.script import Fault
from tools.faults.scene import Scene, set_clock, stopped_for

Loses = Literal["nothing", "last second", "rest"]
"""Rows that a fault may cost: what a killed process had not handed over yet, or all that came later."""


class Case(NamedTuple):
    """A fault under load.

    `words` must be found in the record's gaps and the report, or on the terminal. `codes` are the exit
    codes that the run may have; None if it is killed.
    """

    fault: str
    done: str
    act: Callable[[Scene], None]
    words: tuple[str, ...]
    codes: tuple[int, ...] | None = (0, 5)
    loses: Loses = "nothing"
    options: tuple[str, ...] = ()
    on_ray: bool = False
    disk: bool = False
    clock: bool = False


def _kill_observer(scene: Scene) -> None:
    scene.observer.kill()


def _kill_leader(scene: Scene) -> None:
    scene.process.kill()


def _kill_worker(scene: Scene) -> None:
    scene.worker.kill()


def _for(*faults: tuple[Fault, float]) -> Callable[[Scene], None]:
    """Return a fault: those of the dashboard, one after the other."""

    def act(scene: Scene) -> None:
        assert scene.standin is not None
        for fault, seconds in faults:
            scene.standin.control(fault)
            time.sleep(seconds)
            scene.standin.control(clear=True)

    return act


def _hang_metrics(scene: Scene) -> None:
    assert scene.metrics is not None
    scene.metrics.behaviour = "hang"


def _set_clock_back(scene: Scene) -> None:
    assert scene.clock is not None
    set_clock(scene.clock, -3600)


def _kill_called(name: str) -> Callable[[Scene], None]:
    return lambda scene: scene.process_called(name).kill()


_TWO: Final = ("--processes", "2")

CASES: Final = (
    Case(
        "probe process killed",
        "SIGKILL",
        _kill_observer,
        (f"{PROBE_ENDED} (SIGKILL)",),
    ),
    Case(
        "load process killed",
        "SIGKILL to the only one",
        _kill_leader,
        ("interrupted",),
        codes=None,
        loses="rest",
    ),
    Case(
        "worker killed",
        "SIGKILL to one of two",
        _kill_worker,
        ("was lost from", "load processes were lost"),
        codes=(5,),
        loses="last second",
        options=_TWO,
    ),
    Case(
        "disk full",
        "file system of 8 MiB filled",
        Scene.fill_disk,
        ("No space left",),
        codes=(1,),
        loses="rest",
        disk=True,
    ),
    Case(
        "dashboard down",
        "refuses connections for 5 s",
        _for((Fault("refuse"), 5.0)),
        ("connection refused",),
    ),
    Case(
        "controller killed",
        "SIGKILL on real Ray",
        _kill_called("ray::ServeController"),
        ("controller restart",),
        codes=(0, 4, 5),
        on_ray=True,
    ),
    Case(
        "proxy killed",
        "SIGKILL on real Ray",
        _kill_called("ray::ProxyActor"),
        ("connection",),
        codes=(0, 4, 5),
        on_ray=True,
    ),
    Case(
        "clock set back by an hour",
        "the wall clock of all our processes, by a preloaded library",
        _set_clock_back,
        (),
        clock=True,
    ),
    Case(
        "garbage and half answers",
        "of the dashboard, 3 s of no JSON and 3 s of half a body",
        _for((Fault("garbage"), 3.0), (Fault("truncated"), 3.0)),
        ("an answer that makes no sense", "the answer broke off"),
    ),
    Case(
        "metrics ports hang",
        "they take requests and do not answer, to the end of the run",
        _hang_metrics,
        ("no answer",),
    ),
    Case(
        "probe process stopped",
        "SIGSTOP for 10 s",
        stopped_for(lambda scene: scene.observer, 10.0),
        (PROBE_HELD_UP,),
    ),
    Case(
        "probe process stopped for long",
        "SIGSTOP for 17 s: killed after 15",
        stopped_for(lambda scene: scene.observer, 17.0),
        (f"{PROBE_ENDED} (it was silent for 15 s)",),
    ),
    Case(
        "load process stopped",
        "SIGSTOP to the only one for 10 s",
        stopped_for(lambda scene: scene.leader, 10.0),
        ("the load generator was too slow",),
        codes=(5,),
    ),
    Case(
        "worker stopped",
        "SIGSTOP to one of two for 10 s",
        stopped_for(lambda scene: scene.worker, 10.0),
        ("was lost from", "until"),
        codes=(5,),
        options=_TWO,
    ),
    Case(
        "master stopped",
        "SIGSTOP for 10 s",
        stopped_for(lambda scene: scene.leader, 10.0),
        (),
        codes=(0, 5),
        options=_TWO,
    ),
    Case(
        "process of the embedded cluster stopped",
        "SIGSTOP for 10 s, on real Ray",
        stopped_for(lambda scene: scene.process_called("scalelag.cluster.embedded_main"), 10.0),
        (),
        codes=(0, 4, 5),
        on_ray=True,
    ),
)
