"""Log lines of Locust's process, with what is foreign in them made harmless, and no secrets in URLs."""

import logging

from scalelag.cluster.urls import hide_credentials
from scalelag.foreign import sanitized_lines
from scalelag.record.secrets import hide_url_secrets

# The last one prints Locust's tables of requests and errors, by a handler of its own.
_LOGGERS = ("", "locust", "locust.stats_logger")


class HarmlessFormatter(logging.Formatter):
    """Formats as `inner` does; an exception of a task holds texts of the target, and URLs."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of `record`, each sanitized."""
        return sanitized_lines(hide_url_secrets(hide_credentials(self._inner.format(record))))


def make_harmless() -> None:
    """Have all handlers of the process's logs format so; once, however often it is called."""
    for logger in map(logging.getLogger, _LOGGERS):
        for handler in logger.handlers:
            if not isinstance(handler.formatter, HarmlessFormatter):
                handler.setFormatter(HarmlessFormatter(handler.formatter))
