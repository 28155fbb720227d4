"""A visitor of Locust's page with our tabs, who stays: in Chromium, or asking as its scripts ask."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import requests
from playwright.sync_api import CDPSession, Page

from tests.support.chromium import path_of_chromium, running_chromium

REFRESH_S: Final = 1.0
LOCUST_REFRESH_S: Final = 2
CHART: Final = ".scalelag .plot"
CHART_TIMEOUT_MS: Final = 60_000
_MIB: Final = 2**20
_WITHOUT_CODE: Final = "--js-flags=--jitless"
"""Nothing is compiled: V8 makes megabytes of code in half an hour, and drops it as it sees fit."""


class Visitor(Protocol):
    """Somebody with the page open."""

    how: str
    complaints: list[str]

    def stay(self, seconds: float) -> None:
        """Look at the page for so long."""
        ...

    def heap_mib(self) -> float | None:
        """Memory that the page's scripts hold; None without a browser."""
        ...


class InChromium:
    """The page in a real Chromium. `complaints` are errors of its scripts."""

    how = "open in Chromium"

    def __init__(self, page: Page, inspector: CDPSession) -> None:
        self._page, self._inspector = page, inspector
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        inspector.send("Performance.enable")

    def stay(self, seconds: float) -> None:
        """Let the page go on."""
        self._page.wait_for_timeout(seconds * 1000)

    def heap_mib(self) -> float:
        """Collect what nobody holds, and return what is left."""
        self._inspector.send("HeapProfiler.collectGarbage")
        metrics = self._inspector.send("Performance.getMetrics")["metrics"]
        by_name = {one["name"]: one["value"] for one in metrics}
        return by_name["JSHeapUsedSize"] / _MIB


class RequestVisitor:
    """Requests that the page's scripts send, without a browser. `complaints` are failed ones."""

    how = "its addresses asked as the page asks"

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = requests.Session()
        self._seen = {"run": -1, "epoch": -1, "after": -1}
        self._asked = 0
        self.complaints: list[str] = []

    def stay(self, seconds: float) -> None:
        """Ask once a second for what is new, and every other second for Locust's own tables."""
        ends_s = time.monotonic() + seconds
        while (left_s := ends_s - time.monotonic()) > 0:
            time.sleep(min(REFRESH_S, left_s))
            try:
                self._ask()
            except requests.RequestException as error:
                self.complaints.append(str(error))

    def heap_mib(self) -> None:
        """Return None: there are no scripts."""

    def _ask(self) -> None:
        more = True
        while more:
            answer = self._get("/scalelag/live", self._seen)
            more = bool(answer.get("more"))
            if "number" in answer:
                names = {"run": "run", "epoch": "epoch", "number": "after"}
                self._seen = {ours: answer[theirs] for theirs, ours in names.items()}
        self._asked += 1
        if self._asked % LOCUST_REFRESH_S == 0:
            self._get("/stats/requests", {})

    def _get(self, path: str, query: dict[str, int]) -> dict[str, int]:
        reply = self._http.get(self._url + path, params=query, timeout=10)
        reply.raise_for_status()
        return reply.json()


@contextmanager
def visiting(url: str, *, browser: bool) -> Iterator[Visitor]:
    """Visit a run at `url` until the block ends. Raises FileNotFoundError without a Chromium."""
    if not browser:
        yield RequestVisitor(url)
        return
    path = path_of_chromium()
    if path is None:
        raise FileNotFoundError("no Chromium was found: install it, or use --without-browser")
    with running_chromium(path, _WITHOUT_CODE) as chromium:
        page = chromium.new_page()
        visitor = InChromium(page, page.context.new_cdp_session(page))
        page.goto(url)
        page.locator(CHART).wait_for(timeout=CHART_TIMEOUT_MS)
        yield visitor
