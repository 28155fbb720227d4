"""Exit code of the load process: never milder than a run's, nor than Locust's own rule."""

from locust.env import Environment

from scalelag.errors import EXIT_PASSED


class ExitCode:
    """Keeps the code of the last run against what listeners of the user's write over it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._ours = EXIT_PASSED
        self._by_locust = True

    def set(self, code: int, *, by_locust: bool = True) -> None:
        """Set the code of a run. If it passed, Locust's rule may still find it failed (`by_locust`).

        That rule: the process ends with `--exit-code-on-error` if a request failed or a task raised.
        """
        if code != EXIT_PASSED:
            self._environment.process_exit_code = code
        elif self._ours != EXIT_PASSED and self._environment.process_exit_code == self._ours:
            self._environment.process_exit_code = None
        self._ours, self._by_locust = code, by_locust

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

    def _has_errors(self) -> bool:
        runner = self._environment.runner
        return runner is not None and bool(runner.errors or runner.exceptions)
