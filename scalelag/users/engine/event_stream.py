"""Parser for server-sent events, fed with bytes that may be cut anywhere.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type (`message` if the stream gives none) and its lines of data."""

    type: str
    data: str


class EventParser:
    """Parses the bytes of one stream. Ids and times for reconnecting are ignored.

    It never fails: lines that are no field are ignored, and invalid UTF-8 is replaced. The standard
    drops an event that no empty line ends; `rest` tells it, for those who read it differently. An
    `event: error` without data is one here.
    """

    def __init__(self) -> None:
        self._begun = False
        self._after_cr = False
        self._rest: list[bytes] = []  # pieces of a line: to join them each time takes too long
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that `piece` completes, in order."""
        if not piece:
            return []
        if self._begun and b"\n" not in piece and b"\r" not in piece:
            self._after_cr = False
            self._rest.append(piece)
            return []
        text = b"".join([*self._rest, piece])
        if not self._begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = [text]
                return []
            self._begun = True
            text = text.removeprefix(_BOM)
        if self._after_cr:
            # The CR has already ended the line; this LF belongs to it.
            text = text.removeprefix(b"\n")
        self._after_cr = text.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = [rest] if rest else []
        return [event for line in lines if (event := self._line(line))]

    def rest(self) -> Event | None:
        """Return the event, if any, whose empty line is missing at the end of the stream."""
        line, self._rest = b"".join(self._rest), []
        return (self._line(line) if line else None) or self._dispatch()

    def _line(self, line: bytes) -> Event | None:
        """Take one line; return the event that it completes, if any."""
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        return None

    def _dispatch(self) -> Event | None:
        # The standard drops an event without data. What calls itself an error says enough.
        is_event = self._data or self._type == "error"
        event = Event(self._type or "message", "\n".join(self._data)) if is_event else None
        self._type, self._data = "", []
        return event
