"""Our tabs on Locust's web page, as tests use them: the start form and the report."""

NEVER_S = 1e6
OURS = "/scalelag/"


def start(page, **fields):
    """Fill in the start form and press Start; `name` stands among the folded fields."""
    if "name" in fields:
        page.get_by_text("More options").click()
    for name, text in fields.items():
        page.locator(f"scalelag-form input[name={name}]").fill(text)
    page.locator("scalelag-form").get_by_role("button", name="Start").click()


def report(page):
    """The frame with the report of a run."""
    return page.frame_locator("scalelag-report iframe")


def complaints(found):
    """Complaints of the browser, but for a missing picture of Locust's own page."""
    return [text for text in found.complaints if "favicon" not in text]
