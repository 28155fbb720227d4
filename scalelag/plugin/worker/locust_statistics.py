"""Locust's own statistics, kept whole where a client of a user's own fires odd values."""

from collections.abc import Callable
from typing import Any

from locust.stats import RequestStats

_MOST = 2.0**53


def take_odd_values(stats: RequestStats, say: Callable[[str], None]) -> None:
    """Have `stats` take requests of any name, time and length; `say` gets a line on the first odd one.

    A time that is no number ends Locust's listener, or else its table at the end; so do names of
    different types, which it sorts. Our record has them as they came.
    """
    log_request, log_error = stats.log_request, stats.log_error
    values = _Values(say)

    def request(method: Any, name: Any, response_time: Any, content_length: Any) -> None:  # noqa: ANN401
        name = values.text("name", name)
        time_ms: Any = (
            None if response_time is None else values.number("response_time", response_time)
        )
        length = values.number("response_length", content_length) or 0
        log_request(values.text("request_type", method), name, time_ms, length)

    def error(method: Any, name: Any, error: Exception | str | None) -> None:  # noqa: ANN401
        log_error(values.text("request_type", method), values.text("name", name), error)

    stats.log_request = request
    stats.log_error = error


class _Values:
    """Makes values fit for Locust's statistics, and says so once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = False

    def text(self, what: str, value: Any) -> str:  # noqa: ANN401  anything that a user's code passes
        """Return the value as a text."""
        if isinstance(value, str):
            return value
        self._tell(what, value)
        return str(value)

    def number(self, what: str, value: Any) -> Any:  # noqa: ANN401
        """Return the value if it is a number that can be added up; else None."""
        try:
            fits = -_MOST < value < _MOST
        except TypeError:
            fits = False
        if fits:
            return value
        self._tell(what, value)
        return None

    def _tell(self, what: str, value: object) -> None:
        if self._said:
            return
        self._said = True
        self._say(
            f"Locust's own statistics cannot take a {what} of {value!r:.50}: they leave out odd times "
            "and lengths, and have odd names as text. The record and the report have all requests."
        )
