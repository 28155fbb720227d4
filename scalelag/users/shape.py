"""The load shape that follows `--steps`, to the millisecond, or a shape of the user's own."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

import gevent
from locust import LoadTestShape
from locust.runners import Runner
from locust.user import User

from scalelag.errors import UsageError
from scalelag.options.run_options import RunOptions
from scalelag.plan.stages import LoadPlan, Stage
from scalelag.plugin.attach import lifecycle_of
from scalelag.plugin.leader.lifecycle import Lifecycle
from scalelag.plugin.leader.run import LeaderRun
from scalelag.plugin.leader.run_state import RunState
from scalelag.users.plan_user import PlanUser
from scalelag.users.tags import check_tags

Tick = tuple[int, float, list[type[User]] | None]

_RAMP_STEP_S = 1.0
# Of the tick at which Locust fires `test_start`. No other has it: Locust passes over equal ticks.
_FIRST_RATE = 0.123
_POLL_S = 0.2
_STOP_GRACE_S = 10.0


class StepShape(LoadTestShape):
    """Gives Locust the number of users that the plan wants, at the moment at which it wants it.

    Locust calls `tick()` about once a second, in a greenlet of its own: it may wait in there, so
    edges come when they are due rather than at the next second.
    """

    follows_plan = True
    """Tells Locust's page from other shapes that a run of ours is what it starts."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks: Iterator[Tick] | None = None
        self._own_first: Tick | None = None
        self.own: LoadTestShape | None = None
        """Shape class of the locustfile that drives the load in place of `--steps`."""

    @property
    def _runner(self) -> Runner:
        if self.runner is None:
            raise RuntimeError("Locust sets the runner before it asks a shape for anything")
        return self.runner

    @property
    def _users(self) -> list[type[User]]:
        return self._runner.environment.user_classes

    def reset_time(self) -> None:
        """Forget the run before: Locust calls this before the first tick, and once more after it."""
        super().reset_time()
        if lifecycle_of(self._runner.environment).state is not RunState.WAITING:
            self._ticks = None

    def tick(self) -> Tick | None:
        """Users for now, after waiting until it is time; None when the plan is done or refused."""
        if self._ticks is None:
            self._ticks = self._run(lifecycle_of(self._runner.environment))
        return next(self._ticks, None)

    def _run(self, lifecycle: Lifecycle) -> Iterator[Tick]:
        run = lifecycle.begin(self._check)
        if run is None:
            return
        first = self._first_tick(run)
        # Locust fires test_start. No user starts before the run is open (`dispatchers`).
        yield first[0], _FIRST_RATE, first[2]
        is_done = lifecycle.open() and (yield from self._load(lifecycle, run, first))
        if is_done:
            lifecycle.note_plan_done()
        else:
            # Not left to Locust's `quit`, at which a master does not wait for its workers' users.
            self._runner.stop()

    def _first_tick(self, run: LeaderRun) -> Tick:
        if self._own_first is not None:
            return self._own_first
        classes = self.senders(run.options.plan, self._users)
        return _first_users(run.options.plan, self._runner), _FIRST_RATE, classes

    def _load(
        self, lifecycle: Lifecycle, run: LeaderRun, first: Tick
    ) -> Generator[Tick, None, bool]:
        """Ticks of the whole plan; returns whether it was done to its end."""
        if self.own is not None:
            return (yield from self._load_own(lifecycle, run, self.own, first))
        classes = first[2] or []
        if not self._wait_until(lifecycle, run, lambda: -1.0):
            return False
        if run.options.plan.unit == "rps":
            count = len(run.workers.all)
            yield count, float(count), classes
        else:
            yield from self._follow(lifecycle, run, classes)
        if not self._wait_until(lifecycle, run, lambda: run.options.plan.duration_s):
            return False
        return (yield from self._end(lifecycle, run, classes))

    def _end(
        self, lifecycle: Lifecycle, run: LeaderRun, classes: list[type[User]] | None
    ) -> Generator[Tick, None, bool]:
        """Tick at which all users stop; returns whether the plan was done to its end."""
        run.note_end()
        # At once: where users have ended themselves, each step on the way would start new ones.
        yield 0, self._rate(0), classes
        self._await_stop(run)
        return lifecycle.is_going

    def _rate(self, users: int) -> float:
        """Rate at which Locust reaches that number of users in one go, up or down."""
        return float(max(1, users, self._runner.target_user_count, self._runner.user_count))

    def _load_own(
        self, lifecycle: Lifecycle, run: LeaderRun, own: LoadTestShape, first: Tick
    ) -> Generator[Tick, None, bool]:
        if not self._wait_until(lifecycle, run, lambda: 0.0):
            return False
        own.reset_time()
        tick: Tick | None = first
        classes = first[2]
        while tick is not None and lifecycle.is_going:
            run.note_tick(tick[0], tick[1])
            classes = tick[2]
            yield tick
            tick = self._own_tick(run, own)
        return lifecycle.is_going and (yield from self._end(lifecycle, run, classes))

    def _own_tick(self, run: LeaderRun, own: LoadTestShape) -> Tick | None:
        """Next tick of the user's own shape; one that raises ends the run, and keeps its traceback."""
        try:
            return _tick_of(own)
        except UsageError as error:
            run.fail(error)
            return None

    def senders(self, plan: LoadPlan, users: Sequence[type[User]]) -> list[type[User]]:
        """Classes of `users` that send what `plan` asks for.

        Raises UsageError that names `--steps` if none can, or for a plan in rps if several can.
        """
        if plan.unit == "users" or self.own is not None:
            return list(users)
        followers: list[type[User]] = [user for user in users if issubclass(user, PlanUser)]
        if len(followers) != 1:
            names = ", ".join(user.__name__ for user in followers) or "none"
            raise UsageError(
                "--steps: a plan in rps needs exactly one user class that is a subclass of "
                f"PlanUser; there is {names}. Write the stages in users, such as 10users:30s, or "
                "choose one such class."
            )
        return followers

    def _check(self, options: RunOptions) -> None:
        self._own_first = None
        if self.own is not None:
            self.own.runner = self._runner
            self.own.reset_time()
            self._own_first = _tick_of(self.own)
            if self._own_first is None:
                name = type(self.own).__name__
                raise UsageError(f"the shape class {name} ends the test with its first tick().")
        senders = self.senders(options.plan, self._users)
        given = vars(self._runner.environment.parsed_options)
        check_tags(senders, given.get("tags"), given.get("exclude_tags"))
        for user in senders:
            _check_mix(user, options)
            if issubclass(user, PlanUser):
                user.check(options, self._runner.environment.host or user.host or "")

    def _follow(
        self, lifecycle: Lifecycle, run: LeaderRun, classes: list[type[User]]
    ) -> Iterator[Tick]:
        """Closed loop: a tick at each edge, and each second of a ramp."""
        for number in range(len(run.options.plan.stages)):
            begin_s = partial(_begin_of, run, number)
            if not self._wait_until(lifecycle, run, begin_s):
                return
            run.edge(number, begin_s())
            for at_s, users in _ticks(run.options.plan.stages[number]):
                if not self._wait_until(lifecycle, run, lambda at_s=at_s: at_s):
                    return
                yield users, self._rate(users), classes

    def _wait_until(self, lifecycle: Lifecycle, run: LeaderRun, at_s: Callable[[], float]) -> bool:
        """Wait until `at_s()` seconds after the plan's start; False once the run cannot go on.

        It changes when a stage settles.
        """
        while lifecycle.is_going:
            left_s = at_s() - run.elapsed_s
            if left_s <= 0:
                return True
            gevent.sleep(min(left_s, _POLL_S))
        return False

    def _await_stop(self, run: LeaderRun) -> None:
        """Wait until the users have their last answers and are gone."""
        grace_s = run.options.request.timeout_s + _STOP_GRACE_S
        deadline_s = run.elapsed_s + grace_s
        while self._runner.user_count > 0 and run.elapsed_s < deadline_s:
            gevent.sleep(0.05)


def _tick_of(own: LoadTestShape) -> Tick | None:
    """Next tick of a shape of the user's own. Raises UsageError if it raises, or is no tick."""
    name = type(own).__name__
    try:
        tick = own.tick()
        if tick is None:
            return None
        users, rate, *classes = tick
        return int(users), float(rate), classes[0] if classes else None
    except Exception as error:
        logging.getLogger(__name__).exception("tick() of the shape class %s", name)
        raise UsageError(
            f"tick() of the shape class {name} raised {type(error).__name__}: {error}"
        ) from error


def _check_mix(user: type[User], options: RunOptions) -> None:
    """Raise UsageError if `user` would send something else than the mix that is asked for."""
    if options.schedule.mix is None or (issubclass(user, PlanUser) and user.sends_mix):
        return
    raise UsageError(
        f"--requests {options.raw['requests']}: {user.__name__} sends no mix of requests. "
        "[[request]] tables go with HttpPlanUser, StreamUser, ChatUser, GrpcMethodUser and "
        "WebSocketPlanUser that do not override send(): choose one of these, or leave the tables out."
    )


def _first_users(plan: LoadPlan, runner: Runner) -> int:
    """Number of users that listeners of `test_start` see as the target: it is never 0."""
    if plan.unit == "rps":
        return max(1, getattr(runner, "worker_count", 1))
    levels = [round(max(stage.start_level, stage.end_level)) for stage in plan.stages]
    return next((level for level in levels if level > 0), 1)


def _begin_of(run: LeaderRun, stage: int) -> float:
    return run.options.plan.stages[stage].at_s


def _ticks(stage: Stage) -> Iterator[tuple[float, int]]:
    """Moments and users of a stage; ramps go in steps of a second."""
    yield stage.at_s, round(stage.start_level)
    if stage.start_level != stage.end_level:
        for k in range(1, int(stage.duration_s / _RAMP_STEP_S) + 1):
            at_s = stage.at_s + k * _RAMP_STEP_S
            yield at_s, round(stage.level_at(at_s))
