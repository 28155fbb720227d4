"""Entry point of the `scalelag` command, and of `python -m scalelag.cli`."""

import sys

from scalelag.packages import exit_if_shadowed

_INTERRUPTED = 130  # `EXIT_INTERRUPTED`, before anything is loaded


def main() -> None:
    """Run the command and end the process with its exit code."""
    try:
        exit_if_shadowed()
        from scalelag.cli.main import app  # noqa: PLC0415  would fail before the check, less clearly
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    app()


if __name__ == "__main__":
    main()
