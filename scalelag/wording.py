"""Words beside numbers, and short texts of values."""


def count(number: float | str, one: str, many: str = "") -> str:
    """`1 gap`, `2 gaps`, `? gaps`; `many` is the plural if it is not `one` with an s."""
    words = one if number == 1 else many or f"{one}s"
    if isinstance(number, str):
        return f"{number} {words}"
    return f"{number:,} {words}" if isinstance(number, int) else f"{number:,.10g} {words}"


def brief(value: object) -> str:
    """Text of a setting; a float without zeros that say nothing (`2` for 2.0)."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def last_line(text: str) -> str:
    """Last line of a text that says something, of a traceback the error; empty if none does."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return said[-1].rstrip(".") if said else ""
