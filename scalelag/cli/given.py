"""Options as they were given: which ones, and that one stands there once."""

from scalelag.errors import UsageError


def given(**options: object) -> tuple[str, ...]:
    """Return the flags of the options that were given."""
    return tuple(f"--{n.replace('_', '-')}" for n, v in options.items() if v not in (None, False))


def once(flag: str, values: list[str] | None) -> str | None:
    """Return the value of an option. Raises UsageError if there are several."""
    if values and len(values) > 1:
        raise UsageError(f"{flag} {values[-1]}: {flag} {values[0]} is given, too. Give one here.")
    return values[0] if values else None
