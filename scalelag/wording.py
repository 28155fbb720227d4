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


def seconds_within(value_s: float, lo_s: float, hi_s: float) -> str:
    """`8.5 s`, or `2.0 to 15.0 s` if it is not known to a tenth of it, nor to half a second."""
    if hi_s - lo_s <= max(0.5, value_s / 10):
        return f"{value_s:.1f} s"
    return f"{lo_s:.1f} to {hi_s:.1f} s"


def last_line(text: str) -> str:
    """Last line of a text that says something, of a traceback the error; empty if none does."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return said[-1].rstrip(".") if said else ""
