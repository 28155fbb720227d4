"""Entry point of the `scalelag` command, and of `python -m scalelag.cli`."""

from scalelag.packages import exit_if_shadowed


def main() -> None:
    """Run the command and end the process with its exit code."""
    exit_if_shadowed()
    from scalelag.cli.main import app  # noqa: PLC0415  would fail before the check, less clearly

    app()


if __name__ == "__main__":
    main()
