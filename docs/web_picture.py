"""Takes the pictures of Locust's page with our tabs: `python docs/web_picture.py URL [FOLDER]`.

URL is the address of a `scalelag run --web` that has not run a test yet: this runs one of a minute.
docs/web-form.png, docs/web-replicas.png and docs/web-report.png are replaced. FOLDER gets form, live
tab and report tab, in light and dark. Chromium must be on the PATH.
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

STEPS = "5rps:12s,25rps:24s,5rps:24s"
GATES = "scale_up.total_s.max <= 20; requests.error_ratio <= 0.001"
LIVE_S = 52.0
WIDTH_PX = 1180
FORM = "form"
TABS = {"replicas": "scalelag-replicas", "report": "scalelag-report"}
DOCS = Path(__file__).parent


def main() -> None:
    """Run a test on the page, and take the pictures meanwhile and after it."""
    url = sys.argv[1]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium was not found: apt-get install chromium")
    # Chromium refuses to sandbox what root runs.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        run(browser, url, folder)
        browser.close()


def run(browser: Browser, url: str, folder: Path | None) -> None:
    """Take all pictures."""
    pages = {scheme: opened(browser, url, scheme) for scheme in ("light", "dark")}
    first = pages["light"]
    for page in pages.values():
        page.locator("scalelag-form input[name=steps]").fill(STEPS)
        page.locator("scalelag-form input[name=gates]").fill(GATES)
        page.wait_for_timeout(500)
    shots(pages, FORM, folder)
    first.locator("scalelag-form").get_by_role("button", name="Start").click()
    first.get_by_role("tab", name="Replicas").wait_for()
    first.wait_for_timeout(LIVE_S * 1000)
    for name, key in TABS.items():
        for page in pages.values():
            page.goto(f"{url}/?tab={key}")
        if name == "report":
            for page in pages.values():
                report = page.frame_locator("scalelag-report iframe")
                report.locator("html[data-drawn=yes]").wait_for(timeout=180_000)
        for page in pages.values():
            page.wait_for_timeout(1500)
        shots(pages, name, folder)


def opened(browser: Browser, url: str, scheme: str) -> Page:
    """Open the page in light or dark."""
    size = {"width": WIDTH_PX, "height": 900}
    page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    return page


def shots(pages: dict[str, Page], name: str, folder: Path | None) -> None:
    """Take one picture of each page, and those of the documentation."""
    for scheme, page in pages.items():
        if (name, scheme) in ((FORM, "light"), ("replicas", "light"), ("report", "dark")):
            page.screenshot(path=DOCS / f"web-{name}.png", full_page=name == "replicas")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=name != FORM)


if __name__ == "__main__":
    main()
