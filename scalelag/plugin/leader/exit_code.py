"""Exit code of the load process: never milder than a run's, nor than Locust's own rule."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import gevent
from locust.env import Environment
from locust.event import EventHook

from scalelag.console import say
from scalelag.errors import EXIT_ERROR, EXIT_INVALID, EXIT_PASSED


class ExitCode:
    """Keeps the code of the last run against what listeners of the user's write over it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._ours = EXIT_PASSED
        self._by_locust = True
        self._has_run = False

    def set(self, code: int, *, by_locust: bool = True) -> None:
        """Set the code of a run. If it passed, Locust's rule may still find it failed (`by_locust`).

        That rule: the process ends with `--exit-code-on-error` if a request failed or a task raised.
        """
        if code != EXIT_PASSED:
            self._environment.process_exit_code = code
        elif self._ours != EXIT_PASSED and self._environment.process_exit_code == self._ours:
            self._environment.process_exit_code = None
        self._ours, self._by_locust, self._has_run = code, by_locust, True

    def settle(self) -> None:
        """Decide when Locust quits, after all other listeners of `quitting`.

        A listener that sets the code to 0, as in an example of Locust's documentation, turns no failed
        run into a good one. What it sets otherwise, for a run that passed, holds.
        """
        environment = self._environment
        if self._ours != EXIT_PASSED:
            environment.process_exit_code = self._ours
        elif environment.process_exit_code is None and not self._by_locust and self._has_errors():
            environment.process_exit_code = EXIT_PASSED

    def hold_exits(self) -> None:
        """Let no `sys.exit()` in a listener of a test's end keep Locust from ending in its usual order.

        It sets the code, as `process_exit_code` does, and the other listeners are called: those that
        close the run and print its report among them.
        """
        events = self._environment.events
        _fire_by(events.test_stopping, self._fire_and_end)
        _fire_by(events.test_stop, self._fire_and_end)
        _fire_by(events.quitting, self._fire)
        _fire_by(events.quit, self._fire_last)

    def harden(self, raised: SystemExit, unopened_by: str | None) -> None:
        """Have an exit that ends this process at once end it with a code as strict as the run's.

        A run that was to begin, and never did because of the code `unopened_by`, is none that passed.
        """
        if unopened_by is not None:
            say(f"the test was ended before it began, by {unopened_by}")
        if self._ours != EXIT_PASSED:
            raised.code = self._ours
        elif unopened_by is not None:
            raised.code = _status(raised) or EXIT_INVALID

    def explain(self, code: int) -> None:
        """Say whose `code` the process ends with, if it is not that of its last run, which passed."""
        if not self._has_run or self._ours != EXIT_PASSED or code == EXIT_PASSED:
            return
        if self._environment.process_exit_code is not None:
            why = "the locustfile set it"
        elif self._has_errors():
            why = (
                "by Locust's rule, since a request failed or a task raised; --exit-code-on-error 0, or "
                "a gate of yours on errors, takes its place"
            )
        else:
            why = (
                "by Locust's rule, since a listener or greenlet raised: its traceback stands above"
            )
        say(f"the run passed, and the exit code is {code}: {why}")

    def _fire(self, hook: EventHook, given: dict[str, Any]) -> list[int]:
        """Fire `hook`; return the codes of the listeners that called `sys.exit()`."""
        codes: list[int] = []
        held = EventHook()
        for listener in hook._handlers:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no other way to see them
            held.add_listener(_holding(listener, codes))
        held.fire(**given)
        for code in codes:
            self._take(code)
        return codes

    def take(self, raised: SystemExit) -> None:
        """Let an exit while the test ends set the code, as one in a listener does."""
        self._take(_status(raised))

    def _take(self, code: int) -> None:
        if code != EXIT_PASSED or self._environment.process_exit_code is None:
            self._environment.process_exit_code = code

    def _fire_and_end(self, hook: EventHook, given: dict[str, Any]) -> None:
        """Fire `hook`, and end Locust's page after an exit; a headless test ends anyway."""
        web_ui = self._environment.web_ui
        if self._fire(hook, given) and web_ui is not None:
            gevent.spawn(web_ui.stop)

    def _fire_last(self, hook: EventHook, given: dict[str, Any]) -> None:
        """Fire `hook`, whose listeners get the code: only one that passed can still be changed."""
        codes = self._fire(hook, given)
        if given.get("exit_code") == EXIT_PASSED and (strict := max(codes, default=EXIT_PASSED)):
            sys.exit(strict)

    def _has_errors(self) -> bool:
        runner = self._environment.runner
        return runner is not None and bool(runner.errors or runner.exceptions)


def _fire_by(hook: EventHook, fires: Callable[[EventHook, dict[str, Any]], object]) -> None:
    """Have `hook` fired by `fires`, which is given the hook and the arguments of `fire`."""

    def fire(**given: Any) -> None:  # noqa: ANN401  whatever the event is fired with
        fires(hook, given)

    hook.fire = fire


def _holding(listener: Callable[..., None], codes: list[int]) -> Callable[..., None]:
    """Return `listener` with the status of its `sys.exit()` added to `codes`."""

    @wraps(listener)
    def call(**given: Any) -> None:  # noqa: ANN401  whatever the event is fired with
        try:
            listener(**given)
        except SystemExit as raised:
            codes.append(_status(raised))

    return call


def _status(raised: SystemExit) -> int:
    """Exit status that Python would end with; a message in its place is printed."""
    code = raised.code
    if not isinstance(code, int | None):
        say(str(code))
        return EXIT_ERROR
    return (code or EXIT_PASSED) % 256
