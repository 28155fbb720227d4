"""The form of a Start on the page: its options are Locust's only if the run can begin."""

from collections.abc import Mapping
from typing import Any

from locust.env import Environment


class StartForm:
    """Takes the options and the host of a form, and gives back what was there before."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._before: tuple[str | None, dict[str, Any]] | None = None
        self._number = 0
        self._is_checked = False

    def take(self, form: Mapping[str, Any], host: str | None) -> int:
        """Take a form that is about to be checked; return its number for `end_check`."""
        if self._is_checked:
            self.give_back()  # that of a Start that was stopped while it was checked
        parsed = vars(self._environment.parsed_options)
        self._before = (self._environment.host, dict(parsed))
        self._number += 1
        self._is_checked = True
        parsed.update(form)
        if host is not None:
            self._environment.host = host
        return self._number

    def end_check(self, number: int, *, refused: bool) -> None:
        """End the check of form `number`; nothing is given back if another was taken meanwhile."""
        if number == self._number:
            self._is_checked = False
            if refused:
                self.give_back()

    def give_back(self) -> None:
        """Restore the options and the host from before the last form."""
        if self._before is not None:
            parsed = vars(self._environment.parsed_options)
            self._environment.host, before = self._before
            parsed.clear()
            parsed.update(before)
