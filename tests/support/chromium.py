"""A Chromium on this machine, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

VARIABLE: Final = "SCALELAG_CHROMIUM"
NAMES: Final = ("chromium", "google-chrome")


def path_of_chromium() -> str | None:
    """Path of the Chromium or Chrome to use; None where there is none."""
    return os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def running_chromium(path: str, *arguments: str) -> Iterator[Browser]:
    """A browser with these arguments until the block ends."""
    # Chromium refuses to sandbox what root runs.
    of_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*of_root, *arguments])
        yield started
        started.close()
