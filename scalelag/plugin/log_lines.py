"""Log lines of Locust's process, with what is foreign in them made harmless."""

import logging

from scalelag.foreign import sanitized_lines


class HarmlessFormatter(logging.Formatter):
    """Formats as `inner` does; an exception of a task holds texts of the target."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of `record`, each sanitized."""
        return sanitized_lines(self._inner.format(record))


def make_harmless() -> None:
    """Have all handlers of the process's logs format so; once, however often it is called."""
    for logger in (logging.getLogger(), logging.getLogger("locust")):
        for handler in logger.handlers:
            if not isinstance(handler.formatter, HarmlessFormatter):
                handler.setFormatter(HarmlessFormatter(handler.formatter))
