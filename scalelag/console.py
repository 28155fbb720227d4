"""Lines that a person reads on the terminal while a command goes on."""

from rich.console import Console


def say(text: str) -> None:
    """Print a line of ours on stderr."""
    console = Console(stderr=True)
    console.print(f"scalelag: {text}", markup=False, highlight=False, soft_wrap=True)
