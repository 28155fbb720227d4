"""Pages in a real Chromium: where it is, how it is started, and what it said."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from reports.analysis.analyse import analyse
from reports.analysis.gates import parse_gates
from reports.render.html.report_page import render_html
from scalelag.record.run_dir import load_run
from tests.support.built import samples, sides, traced
from tests.support.chromium import VARIABLE, path_of_chromium, running_chromium
from tests.support.stored_runs import STORED

MISSING = (
    "Chromium was not found, and these tests open pages in it. On Debian: apt-get install chromium "
    f"(make test does so as root). Or set {VARIABLE} to the path of a Chromium or Chrome."
)
# Chromium draws late beside other tests.
expect.set_options(timeout=20_000)


class OpenPage:
    """A page that is open, with what the browser said and asked for since."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", self._asked)

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = path_of_chromium()
    if path is None:
        pytest.fail(MISSING)
    with running_chromium(path) as started:
        yield started


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Callable[[str], Path]:
    """Writes the page of a stored run, of a hand-built analysis, or of `compared-NAME`, once."""
    folder = tmp_path_factory.mktemp("pages")
    built = {"busy": samples.busy, "interrupted": samples.interrupted, "traced": traced.traced}

    def write(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_bytes(page_of(name))
        return path

    def page_of(name: str) -> bytes:
        if name.startswith("compared-"):
            return sides.BUILT[name.removeprefix("compared-")]().page()
        if name in built:
            return render_html(built[name]())
        recorded = load_run(STORED / name)
        gates = parse_gates(recorded.info.options["gate"])
        return render_html(analyse(recorded, gates))

    return write


@pytest.fixture
def opened(browser, written) -> Iterator[Callable[..., OpenPage]]:
    """Opens a page, by name or path, without a network, and waits until its charts are drawn."""
    contexts = []

    def open_page(
        page: str | Path, width: int = 1440, scheme: str = "light", **options: object
    ) -> OpenPage:
        path = written(page) if isinstance(page, str) else page
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True, **options
        )
        contexts.append(context)
        found = OpenPage(context.new_page())
        found.page.goto(path.as_uri())
        found.page.wait_for_selector("html[data-drawn=yes]", timeout=60_000)
        return found

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def online(browser) -> Iterator[Callable[..., OpenPage]]:
    """Opens a URL on this machine, without waiting for anything on it."""
    contexts = []

    def open_url(url: str, scheme: str = "light", **options: object) -> OpenPage:
        size = {"width": 1440, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        contexts.append(context)
        found = OpenPage(context.new_page())
        found.page.goto(url)
        return found

    yield open_url
    for context in contexts:
        context.close()
