"""Finding the processes that a test has started."""

from pathlib import Path

MARK = "SCALELAG_TEST_MARK"
"""Environment variable by which processes are known."""


def marked(mark):
    """Processes, by pid, that were started with `mark` in their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
    return found
