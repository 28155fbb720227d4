"""Lines that a person reads on the terminal while a command goes on."""

from rich.console import Console

from scalelag.foreign import sanitized_lines


def say(text: str) -> None:
    """Print a line of ours on stderr; what is foreign in it does nothing to the terminal."""
    console = Console(stderr=True)
    console.print(
        f"scalelag: {sanitized_lines(text)}",
        markup=False,
        emoji=False,  # a deployment may be called `od d:x`, and its target follow: `:x:`
        highlight=False,
        soft_wrap=True,
    )
