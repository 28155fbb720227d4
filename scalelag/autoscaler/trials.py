"""Repetitions of a simulation with Ray's own autoscaler, over all cores of this machine."""

import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait

import msgspec
import numpy as np

from reports.whatif.outcome import Outcome
from reports.whatif.repeat import Trial, run_trial
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.autoscaler.user_policy import UserPolicy, load_policy
from scalelag.errors import ScalelagError

_STATE_LONG = 300
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PolicyPath(msgspec.Struct, frozen=True):
    """A policy of the user's own: `module:function`, and whether it decides for an application."""

    path: str
    of_application: bool = False


class Job(msgspec.Struct, frozen=True):
    """One repetition, and the policy that decides in it; None for Ray's own."""

    trial: Trial
    policy: PolicyPath | None = None


class TrialResult(msgspec.Struct, frozen=True):
    """Outcome of a repetition, and the last state of a user's policy, in words."""

    outcome: Outcome
    policy_state: str | None = None


Jobs = Callable[[Sequence[Job]], list[TrialResult]]


def run_job(job: Job) -> TrialResult:
    """Run one repetition in this process."""
    quiet_ray()
    settings = job.trial.scenario.settings
    loaded = _loaded(job.policy, job.trial.seed) if job.policy else None
    autoscaler = RayAutoscaler({settings.key: settings.info}, loaded, settings.application)
    outcome = run_trial(job.trial, autoscaler)
    state = str(autoscaler.policy_state.get(settings.key))[:_STATE_LONG] if loaded else None
    return TrialResult(outcome, state)


def _loaded(policy: PolicyPath, seed: int) -> UserPolicy:
    """Import a policy for one repetition: what it did in another must not change what it does here."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    return load_policy(policy.path, of_application=policy.of_application, fresh=True)


@contextmanager
def parallel(advance: Callable[[], None]) -> Generator[Jobs]:
    """Yield a function that runs jobs on all cores; `advance` is called after each.

    The result does not depend on the number of cores: each job has a seed of its own. The processes
    end with the block, and with this process, however that ends. Raises ScalelagError if one of them
    was ended from outside.
    """
    # Ray is imported once, before the fork. It has no threads as long as no cluster is joined.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), context, _begin) as pool:

        def run(jobs: Sequence[Job]) -> list[TrialResult]:
            found: list[TrialResult] = []
            # The pool's thread, and its processes, start with the first job: not half of them.
            with _undisturbed():
                # `map` would cancel the others when one fails, which the thread does not expect.
                all_waiting = [pool.submit(run_job, job) for job in jobs]
            for waiting in all_waiting:
                found.append(waiting.result())
                advance()
            return found

        try:
            yield run
        except BrokenProcessPool as error:
            raise ScalelagError(
                "a process of the simulation was ended from outside, or by a policy of your own "
                "(os._exit). If the system ran out of memory, its log says so (dmesg): free some, and "
                "try again."
            ) from error
        except BaseException:
            for process in multiprocessing.active_children():
                process.kill()
            raise


@contextmanager
def _undisturbed() -> Generator[None]:
    """Hold back the signals that end a command until the block is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Begin a process of the pool: it ends with its parent, and prints on standard error.

    What a policy prints must not come between the lines of an answer. Signals of the terminal go to
    all its processes; it is the parent that ends these.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)  # blocked while it was forked
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)
