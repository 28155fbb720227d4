"""Text from outside, made harmless for whatever shows it."""

import re
import unicodedata

_LAYOUT_CONTROLS = "\t\n\v\f\r\x85\u2028\u2029"
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\n]")
_BEYOND = 0x10000
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rb"%b%b|(%b|%b)|\\." % (_HIGH, _LOW, _HIGH, _LOW))
_MOST_SHOWN = 120
_ORDER = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|"
    "save-state|set-env|set-output|stop-commands|warning"
)
_CI = re.compile(rf"(?<=:)(?=:(?:{_ORDER})(?![\w-]))|(?<=#)(?=#(?:vso|teamcity)?\[)", re.IGNORECASE)
"""Place within the marks by which CI takes what is printed for an order: `::error::`, `##vso[`.

GitHub looks for them at the beginnings of lines, where long texts are wrapped; Azure anywhere.
"""


def sanitized(text: str) -> str:
    """Return `text` on one line, with nothing in it that a terminal would obey, or CI that shows it.

    Line breaks and tabs become spaces; other control, format (such as right-to-left override) and
    unassigned characters become U+FFFD. Marks of orders to CI are parted by a space.
    """
    shown = text if text.isprintable() else "".join(_harmless(char) for char in text)
    return _CI.sub(" ", shown) if "::" in shown or "##" in shown else shown


def sanitized_lines(text: str) -> str:
    """Return `text` with its line breaks, each line sanitized."""
    return "\n".join(map(sanitized, text.split("\n")))


def encodable(text: str) -> str:
    """Return `text` with U+FFFD for halves of characters, which no file and no message can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encodable_json(data: bytes) -> bytes:
    """Return the JSON in `data` with U+FFFD for halves of characters, for which msgspec refuses it."""
    # To look for one character takes a hundredth of the time of looking for three.
    if b"\\" not in data or (b"\\ud" not in data and b"\\uD" not in data):
        return data
    return _ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)


def shortened(text: str) -> str:
    """Return `text` for a message, on one line, and cut if it is long."""
    length = len(text)
    shown = sanitized(text[:_MOST_SHOWN])
    return shown if length <= _MOST_SHOWN else f"{shown}.. ({length:,} characters)"


def escaped_json(data: bytes) -> bytes:
    """Return the JSON in `data` with such characters and marks escaped: the same values, harmless."""
    text = _NOT_PLAIN.sub(lambda found: _escape(found[0]), data.decode())
    return text.replace("##", r"#\u0023").encode()


def _harmless(char: str) -> str:
    if char in _LAYOUT_CONTROLS:
        return " "
    return "\ufffd" if unicodedata.category(char).startswith("C") else char


def _escape(char: str) -> str:
    if _harmless(char) == char:
        return char
    code = ord(char)
    if code < _BEYOND:
        return f"\\u{code:04x}"
    code -= _BEYOND
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
