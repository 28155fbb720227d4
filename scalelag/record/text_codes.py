"""Codes for the texts of a dictionary column of `requests.arrow`."""

from scalelag.foreign import encodable

_MAX_TEXTS = 1000
_OTHERS = "(others)"


_APART = "\t"


def request_key(method: str, name: str) -> str:
    """Return one text for a request's method and name."""
    return f"{method.replace(_APART, ' ')}{_APART}{name}"


def parts_of(key: str) -> tuple[str, str]:
    """Return method and name of a `request_key`; of any other text no method."""
    method, apart, name = key.partition(_APART)
    return (method, name) if apart else ("", key)


class TextCodes:
    """Codes for texts, in order of appearance; from the 1,001st on all share one code."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.texts: list[str] = []

    def code(self, text: str) -> int:
        """Return the code of `text`; a new text gets a new one, and is kept as files can hold it."""
        code = self.codes.get(text)
        if code is None:
            if len(self.texts) >= _MAX_TEXTS and text != _OTHERS:
                return self.code(_OTHERS)
            code = self.codes[text] = len(self.texts)
            self.texts.append(encodable(text))
        return code
