"""The start form on Locust's web page in a real Chromium, and where a start leads."""

import re
from itertools import product

import pytest
from playwright.sync_api import expect

from tests.browser.our_tabs import complaints, report, start
from tests.support.locust_page import ROOT, page_on_standin, running_page
from tests.support.ports import free_port
from tests.support.servers.http_echo import running_echo
from tests.support.waiting import wait_for

OWN_USERS = str(ROOT / "tests" / "sim" / "own_users_locustfile.py")
FIRST = ["Load plan", "Host", "Ray dashboard", "Path", "Deployments", "Gates"]
WIDTHS = (390, 1024, 1440)
SCROLLS_SIDEWAYS = """() => {
    const root = document.scrollingElement;
    return root.scrollWidth > root.clientWidth;
}"""
# Elements of ours with text that reaches beyond the window, but for those within a part that scrolls.
CUT = """() => [...document.querySelectorAll('.scalelag *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !one.closest('.lags, .runs, .plot');
}).map(one => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 40)}`)"""

IS_DARK = "matchMedia('(prefers-color-scheme: dark)').matches"


def form(page):
    return page.locator("scalelag-form")


def error_at(page, name):
    return page.locator(f".field:has([name={name}]) .error")


def test_six_fields_are_open_and_the_others_stand_in_sections_under_more(tmp_path, online):
    with page_on_standin(tmp_path) as web:
        found = online(web.url)
        page = found.page
        expect(form(page).locator("label:visible")).to_have_text(FIRST)
        expect(page.locator("input[name=userCount]")).to_be_hidden()
        page.get_by_text("More options").click()

        sections = form(page).locator(".more legend:visible").all_inner_texts()
        assert sections == [
            "Load",
            "Request",
            "Prompts",
            "gRPC",
            "Cluster",
            "Measurement",
            "Verdict",
            "Output",
            "Locust",
        ]
        expect(form(page).get_by_label("Seed")).to_be_visible()
        assert complaints(found) == []


def test_an_error_stands_at_its_field_also_if_that_was_folded(tmp_path, online):
    with page_on_standin(tmp_path) as web:
        page = online(web.url).page
        page.get_by_text("More options").click()
        form(page).get_by_label("Seed").fill("1.5")
        page.get_by_text("More options").click()
        start(page)

        expect(error_at(page, "seed")).to_have_text('"1.5" is not a whole number.')
        expect(error_at(page, "seed")).to_be_in_viewport()
        form(page).get_by_label("Seed").fill("2")
        expect(error_at(page, "seed")).to_be_hidden()


@pytest.mark.long
def test_of_several_odd_values_one_is_told_at_its_field_as_text_and_nothing_starts(
    tmp_path, online
):
    with page_on_standin(tmp_path) as web:
        found = online(web.url)
        page = found.page
        page.get_by_text("More options").click()
        form(page).get_by_label("Seed").fill("<img src=x onerror=alert(1)>" * 100)
        form(page).get_by_label("Path", exact=True).fill("/ä€😀 b")
        start(page, steps="")
        expect(error_at(page, "seed")).to_contain_text('"<img src=x onerror=alert(1)>')

        expect(form(page).get_by_role("button", name="Start")).to_be_enabled()
        assert found.dialogs == []
        assert form(page).locator("img").count() == 0
        assert web.live()["state"] == "none"
        assert complaints(found) == []


@pytest.mark.long
def test_while_the_target_does_not_answer_the_form_says_for_what_it_waits_and_how_long(
    tmp_path, online
):
    nowhere = f"http://127.0.0.1:{free_port()}"
    where = ["--dashboard", nowhere, "--wait", "3"]
    with running_echo() as echo, running_page(tmp_path, "--host", echo.url, *where) as web:
        page = online(web.url).page
        start(page)
        expect(form(page).get_by_role("status")).to_contain_text(
            re.compile(f"Waiting for {echo.url} and the dashboard {nowhere} .* at most 3 s"),
            timeout=1000,
        )

        expect(error_at(page, "dashboard")).to_contain_text(nowhere)
        expect(error_at(page, "dashboard")).to_contain_text("waited 3 s")


@pytest.mark.long
def test_a_start_leads_to_the_replicas_at_once_and_our_tabs_are_the_first(tmp_path, online):
    with page_on_standin(tmp_path) as web:
        page = online(web.url).page
        start(page, steps="20rps:60s")
        expect(page.locator("scalelag-replicas h2")).to_contain_text("running")

        tabs = page.get_by_role("tab")
        left = {one.inner_text().upper(): one.bounding_box()["x"] for one in tabs.all()}
        assert sorted(left, key=left.__getitem__)[:2] == ["REPLICAS", "LAG REPORT"]


@pytest.mark.long
def test_with_the_class_picker_users_and_plan_must_fit_and_own_arguments_are_fields(
    tmp_path, online
):
    with page_on_standin(tmp_path, "--class-picker", locustfile=OWN_USERS) as web:
        page = online(web.url).page
        expect(form(page).get_by_label("My region")).to_have_value("north")
        expect(form(page).get_by_label("My secret")).to_have_attribute("type", "password")
        start(page, steps="20rps:2s")
        expect(error_at(page, "steps")).to_contain_text("there is none")
        page.locator(".scalelag-kept thead input").click()
        start(page, steps="2users:2s")
        expect(form(page).get_by_role("status")).to_have_text(
            "Choose at least one user class above."
        )
        page.locator(".scalelag-kept tr", has_text="Reader").locator("input").click()
        start(page, steps="2users:2s", my_region="south")
        wait_for(web.is_closed, "closed")

        names = web.http.get(f"{web.url}/scalelag/runs/1/report.json", timeout=10).json()
        assert "/south" in str(names["load"])


@pytest.mark.long
def test_without_our_shape_locusts_own_users_and_spawn_rate_are_the_fields(tmp_path, online):
    with page_on_standin(tmp_path, "--class-picker", locustfile=OWN_USERS) as web:
        page = online(web.url).page
        form(page).get_by_label("Load shape").select_option("Default")
        expect(form(page).get_by_label("Load plan")).to_be_hidden()
        form(page).get_by_label("Users", exact=True).fill("3")
        start(page)

        wait_for(
            lambda: web.http.get(f"{web.url}/stats/requests").json()["user_count"] == 3, "users"
        )
        assert web.live()["state"] == "none"


def assert_nothing_is_cut(page):
    assert (page.evaluate(SCROLLS_SIDEWAYS), page.evaluate(CUT)) == (False, [])


@pytest.mark.long
def test_nothing_is_cut_at_any_width(tmp_path, online):
    """Form, live view and report of one run, at each width, light and dark."""
    with page_on_standin(tmp_path) as web:
        opened = []
        for width, scheme in product(WIDTHS, ("light", "dark")):
            found = online(web.url, scheme)
            found.page.set_viewport_size({"width": width, "height": 900})
            found.page.get_by_text("More options").click()
            assert_nothing_is_cut(found.page)
            opened.append(found)
        start(opened[0].page, steps="5rps:1s,20rps:2s,5rps:1s")
        expect(opened[0].page.locator("scalelag-replicas .lags")).to_be_visible(timeout=20_000)
        assert_nothing_is_cut(opened[0].page)
        wait_for(web.is_closed, "closed")

        for found in opened:
            page = found.page
            page.goto(f"{web.url}/?tab=scalelag-replicas")
            expect(page.locator("scalelag-replicas .lags")).to_be_visible(timeout=20_000)
            assert_nothing_is_cut(page)
            page.get_by_role("tab", name="Lag report").click()
            expect(report(page).locator("h1")).to_be_visible(timeout=20_000)
            assert_nothing_is_cut(page)
            frame = page.frame(url=re.compile("report.html"))
            assert frame is not None
            assert frame.evaluate(SCROLLS_SIDEWAYS) is False
            assert complaints(found) == []


@pytest.mark.long
def test_the_report_turns_dark_with_locusts_own_switch(tmp_path, online):
    with page_on_standin(tmp_path) as web:
        web.start(steps="20rps:1s")
        wait_for(web.is_closed, "closed")
        # Not a scheme that playwright sets: that would reach the frame whatever the page asks for.
        page = online(f"{web.url}/?tab=scalelag-report", "null").page
        expect(report(page).locator("h1")).to_be_visible(timeout=20_000)
        frame = page.frame(url=re.compile("report.html"))
        assert frame is not None
        assert frame.evaluate(IS_DARK) is False
        page.locator("header button, .MuiAppBar-root button").last.click()

        wait_for(lambda: frame.evaluate(IS_DARK), "a dark report")
        assert frame.evaluate("self.origin") == "null"
