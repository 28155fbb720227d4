"""Server-sent events, read from bytes that come in pieces cut anywhere.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type, `message` where the stream gives none, and its lines of data."""

    type: str
    data: str


class EventParser:
    """Takes the bytes of one stream. Ids and times for reconnecting are passed over.

    Nothing is malformed: what is no field is ignored, and bytes that are no UTF-8 are replaced. An
    event that the stream's end cuts off is none.
    """

    def __init__(self) -> None:
        self._begun = False
        self._after_cr = False
        self._rest = b""
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[Event]:
        """Events that are complete with `piece`, in their order."""
        if not piece:
            return []
        text = self._rest + piece
        if not self._begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = text
                return []
            self._begun = True
            text = text.removeprefix(_BOM)
        if self._after_cr:
            # The line ended with the CR already; nobody waits for the LF.
            text = text.removeprefix(b"\n")
        self._after_cr = text.endswith(b"\r")
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = text.split(b"\n")
        return [event for line in lines if (event := self._line(line))]

    def _line(self, line: bytes) -> Event | None:
        """The event that `line` completes."""
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
        event = Event(self._type or "message", "\n".join(self._data)) if self._data else None
        self._type, self._data = "", []
        return event
