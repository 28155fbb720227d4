"""The Replicas tab on twelve applications with 2,000 and with 8,192 replicas, in a real Chromium."""

import pytest
from playwright.sync_api import expect

from tests.browser.our_tabs import NEVER_S, OURS, complaints
from tests.support.locust_page import running_page
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import steady_replica
from tests.support.standin.script import DeploymentScript, ReplicaScript, Script
from tests.support.waiting import wait_for

APPLICATIONS = [f"app{number:02}" for number in range(12)]
SMALL = 50_000
MOST_NODES = 3_000  # 1,822 with all twelve drawn
WIDTHS = (390, 1440)
LAST_RUNNING = """() => (document.querySelector('.scalelag .plot')?.data ?? [])
    .filter(trace => trace.name === 'RUNNING').map(trace => Array.from(trace.y).at(-1))"""
NODES = "document.querySelectorAll('scalelag-replicas *').length"
SIZES = """() => performance.getEntriesByType('resource')
    .filter(one => one.name.includes('/scalelag/live?')).map(one => one.decodedBodySize)"""
TITLES = """() => [...document.querySelectorAll('.scalelag .plot .annotation-text')]
    .map(one => one.textContent.split('/')[0])"""
FITS = """() => {
    const plot = document.querySelector('.scalelag .plot');
    return Math.abs(plot.querySelector('.main-svg').clientWidth - plot.clientWidth) < 2;
}"""
# Texts of the chart that stand out of it at the left or the right.
CUT = """() => {
    const plot = document.querySelector('.scalelag .plot').getBoundingClientRect();
    return [...document.querySelectorAll('.scalelag .plot text')].filter(text => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < plot.left - 1 || box.right > plot.right + 1);
    }).map(text => text.textContent);
}"""


def crowd(replicas, grown_s):
    """Twelve applications of one replica, each of which asks for `replicas` at `grown_s`."""

    def deployment(number):
        new = [
            ReplicaScript(
                f"{number:02}x{each:05}", grown_s, grown_s + 0.2, grown_s + 1 + 2 * each / replicas
            )
            for each in range(1, replicas)
        ]
        return DeploymentScript(
            targets=((-60.0, 1), (grown_s, replicas)),
            replicas=(steady_replica(f"{number:02}first0"), *new),
            autoscaling={"min_replicas": 1, "max_replicas": replicas},
        )

    return Script(
        applications={name: {"Model": deployment(n)} for n, name in enumerate(APPLICATIONS)}
    )


@pytest.mark.long
@pytest.mark.parametrize("replicas", [170, 683])
def test_twelve_applications_are_followed_within_the_budgets_of_the_tab(tmp_path, online, replicas):
    with (
        running_standin(crowd(replicas, NEVER_S)) as standin,
        running_echo() as echo,
        running_page(tmp_path, "--host", echo.url, "--dashboard", standin.url) as web,
    ):
        web.start(steps="5rps:2s,10rps:60s")
        wait_for(web.is_sending, "load under way")
        page = (found := online(f"{web.url}{OURS}")).page
        standin.control(script=crowd(replicas, standin.now_s() + 4))
        wait_for(lambda: page.evaluate(LAST_RUNNING) == [replicas] * 6, "six have grown", 60)
        page.get_by_text("Deployments: 6 of 12").click()
        page.get_by_role("button", name="All", exact=True).click()
        wait_for(lambda: page.evaluate(LAST_RUNNING) == [replicas] * 12, "all twelve are drawn", 60)
        web.stop()
        wait_for(web.is_closed, "closed", 60)
        expect(page.locator("scalelag-replicas h2")).to_contain_text("closed")

        sizes = page.evaluate(SIZES)
        assert max(sizes) < SMALL
        assert page.evaluate(NODES) < MOST_NODES
        assert set(APPLICATIONS) <= set(page.evaluate(TITLES))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            wait_for(lambda: page.evaluate(FITS), "the chart has the width of the page")
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(CUT) == []
        assert complaints(found) == []
