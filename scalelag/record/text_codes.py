"""Numbers for the texts of a column, as Arrow's dictionaries want them."""

_MAX_TEXTS = 1000


_OTHERS = "(others)"


class TextCodes:
    """Numbers for texts, in the order in which they came up; beyond 1,000 all are one."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.texts: list[str] = []

    def code(self, text: str) -> int:
        """Return the number of `text`, a new one where it is new."""
        code = self.codes.get(text)
        if code is None:
            if len(self.texts) >= _MAX_TEXTS and text != _OTHERS:
                return self.code(_OTHERS)
            code = self.codes[text] = len(self.texts)
            self.texts.append(text)
        return code
