"""Our tabs on Locust's web page, and our page alone, in a real Chromium against stand-ins."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.our_tabs import NEVER_S, OURS, complaints, report, start
from tests.support.locust_page import ROOT, page_on_standin, running_page
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import DeploymentScript, ReplicaScript, Script
from tests.support.waiting import wait_for

HOSTILE = '<img src=x onerror="alert(1)">%{y}'
REDRAWN = """async times => {
    const replicas = document.querySelector('scalelag-replicas');
    for (let n = 0; n < times; n++) { replicas.show(); await replicas.draw(); }
    return document.querySelectorAll('*').length;
}"""

# A machine that others use may be too late for a few requests of a short run, which is invalid then.
JUDGED = re.compile("PASS|INVALID")


def growing(name="Model", *, created_s):
    """Two replicas that come after a while, and one from the start."""
    grown = [ReplicaScript(f"{c}0", created_s, created_s + 0.2, created_s + 1) for c in "bc"]
    deployment = DeploymentScript(
        targets=((-60.0, 1), (created_s, 3)),
        replicas=(steady_replica(), *grown),
        autoscaling={"min_replicas": 1, "max_replicas": 3},
    )
    return Script(applications={"default": {name: deployment}})


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def drawn(page):
    """Last value of each trace of the chart, by name."""
    return page.evaluate(
        """() => Object.fromEntries((document.querySelector('.scalelag .plot')?.data ?? [])
            .map(trace => [trace.name, Array.from(trace.y).at(-1)]))"""
    )


def times(page):
    """Of each trace of the chart, when its points are."""
    return page.evaluate(
        """() => (document.querySelector('.scalelag .plot')?.data ?? [])
            .map(trace => Array.from(trace.x))"""
    )


def test_from_the_form_over_the_live_chart_to_the_report(tmp_path, online):
    with (
        running_standin(growing(created_s=NEVER_S)) as standin,
        running_echo() as echo,
        running_page(tmp_path, "--host", echo.url, "--dashboard", standin.url) as web,
    ):
        found = online(web.url)
        page = found.page
        start(page, steps="20rpm:3s")
        expect(page.locator(".field:has([name=steps]) .error")).to_contain_text(
            'unknown unit "rpm"'
        )
        start(page, steps="5rps:2s,20rps:12s")
        wait_for(web.is_sending, "load under way")
        # After the step, however long the page took to come.
        standin.control(script=growing(created_s=standin.now_s() + 4))
        # On a slow machine the others have come by the first look.
        wait_for(lambda: drawn(page).get("RUNNING"), "a replica RUNNING")
        page.reload()
        wait_for(lambda: drawn(page).get("RUNNING") == 3, "three replicas RUNNING after the reload")
        assert all(trace == sorted(trace) for trace in times(page))
        wait_for(web.is_closed, "closed")
        expect(page.locator(".lags")).to_contain_text(re.compile(r"1 up.*5 → 20"))
        open_tab(page, "Lag report")

        expect(report(page).locator("h1")).to_contain_text(JUDGED)
        expect(report(page).locator("body")).to_contain_text("Scale up: from the load step")
        with page.expect_download() as download:
            page.get_by_role("link", name="report.json").click()
        assert download.value.path().read_bytes() == (web.run_dirs[0] / "report.json").read_bytes()
        assert complaints(found) == []


@pytest.mark.long
def test_a_second_run_with_other_steps_takes_the_place_of_the_first(tmp_path, online):
    with page_on_standin(tmp_path) as web:
        found = online(web.url)
        page = found.page
        start(page, steps="20rps:1s", name="first")
        open_tab(page, "Lag report")
        expect(report(page).locator("h1")).to_contain_text("first", timeout=20_000)
        page.get_by_role("button", name="New").click()
        start(page, steps="10rps:1s,30rps:60s", name="second")
        expect(page.locator("scalelag-replicas h2")).to_contain_text("second running")
        page.get_by_role("button", name="Stop").click()
        open_tab(page, "Lag report")

        expect(report(page).locator("h1")).to_contain_text("second", timeout=20_000)
        expect(page.locator("scalelag-report .runs tbody tr")).to_have_count(2)
        page.get_by_role("button", name="Run 1").click()
        expect(report(page).locator("h1")).to_contain_text("first")
        assert complaints(found) == []


@pytest.fixture(scope="module")
def busy_page(tmp_path_factory):
    """A page with load under way."""
    folder = tmp_path_factory.mktemp("busy")
    with page_on_standin(folder, "--autostart", "--steps", "10rps:120s") as web:
        wait_for(web.is_sending, "load under way")
        yield web


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_light_or_dark_as_the_page_around_it(busy_page, online, scheme):
    web = busy_page
    found = online(f"{web.url}/?tab=scalelag-replicas", scheme)
    element = found.page.locator("scalelag-replicas")
    expect(element).to_have_attribute("data-drawn", "1")
    expect(element).to_have_attribute("data-theme", scheme)
    report = online(f"{web.url}/?tab=scalelag-report", scheme).page.locator("scalelag-report")
    expect(report).to_have_attribute("data-theme", scheme)
    # Locust's own switch, which the system's setting knows nothing of: the last one on its bar.
    found.page.locator("header button, .MuiAppBar-root button").last.click()
    other = {"light": "dark", "dark": "light"}[scheme]
    expect(element).to_have_attribute("data-theme", other)

    alone = online(f"{web.url}{OURS}", scheme)
    expect(alone.page.locator("scalelag-replicas")).to_have_attribute("data-theme", scheme)
    assert complaints(found) + complaints(alone) == []


def test_names_that_mean_harm_stay_text(tmp_path, online):
    with page_on_standin(tmp_path, script=growing(HOSTILE, created_s=5.0)) as web:
        web.start(steps="20rps:2s")
        wait_for(web.is_closed, "closed")
        found = online(f"{web.url}{OURS}")
        expect(found.page.locator("scalelag-replicas")).to_have_attribute("data-drawn", "1")
        expect(report(found.page).locator("body")).to_contain_text(HOSTILE)

        assert found.page.locator("scalelag-replicas img, scalelag-report img").count() == 0
        assert (found.dialogs, complaints(found)) == ([], [])


@pytest.mark.long
def test_behind_a_base_path_and_a_login(tmp_path, online):
    login = str(ROOT / "tests" / "sim" / "login_locustfile.py")
    arguments = ["--web-login", "--web-base-path", "/lab"]
    with page_on_standin(tmp_path, *arguments, locustfile=login, base="/lab") as web:
        found = online(f"{web.url}{OURS}")
        page = found.page
        assert "/lab/login" in page.url
        origin = web.url.removesuffix("/lab")
        page.evaluate(
            "url => fetch(url, {method: 'POST', body: new URLSearchParams({name: 'x'})})",
            f"{origin}/enter",
        )
        page.goto(f"{web.url}/")
        start(page, steps="20rps:2s")
        expect(page.locator("scalelag-replicas h2")).to_contain_text("running")
        wait_for(lambda: drawn(page).get("RUNNING") == 1, "one replica RUNNING")
        page.goto(f"{web.url}{OURS}")

        expect(report(page).locator("h1")).to_contain_text(JUDGED, timeout=20_000)


@pytest.mark.long
def test_an_hour_of_watching_does_not_make_the_page_grow(tmp_path, online):
    with page_on_standin(tmp_path, script=one_deployment(steady_replica())) as web:
        web.start(steps="20rps:1s")
        wait_for(web.is_closed, "closed")
        found = online(f"{web.url}{OURS}")
        expect(found.page.locator("scalelag-replicas")).to_have_attribute("data-drawn", "1")
        expect(report(found.page).locator("h1")).to_contain_text(JUDGED)
        nodes = [found.page.evaluate(REDRAWN, times) for times in (1, 60)]
        sizes = found.page.evaluate(
            """async () => {
                const { Store } = await import(new URL('static/store.js', location.href));
                const store = new Store();
                const head = { run: 1, epoch: 0, deployments: [['a/B', 1, 2]], stages: [], steps: [] };
                const sizes = [];
                const late = new Store();
                late.apply({ ...head, whole: true, number: 1, lags: [], replicas: [],
                    load: [[1, 1, 5, 5, 0], [2, 1, 5, 5, 0], [0, 1, 5, 5, 0]] });
                if (late.bins.map(bin => bin[0]).join() !== '0,1,2') throw new Error('out of order');
                for (let second = 0; second < 3600; second++) {
                    const epoch = Math.floor(second / 450);
                    const whole = epoch !== store.epoch;
                    const rows = whole ? Array.from({ length: 450 }, (_, n) => n) : [second];
                    const load = rows.map(at => [at, 1, 5, 5, 0]);
                    const replicas = rows.map(at => [0, at, 0, 1, 0, 1]);
                    store.apply({ ...head, epoch, whole, number: second, lags: [], load, replicas });
                    sizes.push(store.size);
                }
                return sizes;
            }"""
        )

    assert max(sizes) < 2000
    assert max(sizes[1800:]) <= max(sizes[:1800])
    assert nodes[0] == nodes[1]
