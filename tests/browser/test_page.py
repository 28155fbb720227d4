"""The page of a run as a reader meets it: in light and dark, on a phone and a wide screen."""

import pytest

from tests.browser.looks import OVERLAPS, RANGES, TICK, WIDTHS, brightness, wait_until
from tests.support.built.drawn import HOSTILE

PAGES = ("demo", "node-started", "busy", "interrupted", "traced")


@pytest.mark.parametrize(
    ("name", "scheme"), [*((name, "light") for name in PAGES), ("demo", "dark"), ("busy", "dark")]
)
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_without_a_network_or_a_complaint_and_fits(opened, written, name, width, scheme):
    found = opened(name, width, scheme)

    page = found.page
    assert found.complaints == []
    assert found.requests == [written(name).as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawn = page.evaluate(WIDTHS)
    assert len(drawn) >= 2
    assert [one for one in drawn if not 0 < one[1] <= one[2] + 1] == []
    assert page.evaluate(OVERLAPS) == []


PAPER = "getComputedStyle(document.querySelector('main > section')).backgroundColor"


@pytest.mark.parametrize(("scheme", "is_light"), [("light", True), ("dark", False)])
def test_text_of_charts_stands_out_from_the_paper_in_both_schemes(opened, scheme, is_light):
    page = opened("demo", scheme=scheme).page

    paper, tick = brightness(page, PAPER), brightness(page, TICK)
    assert (paper > 200) == is_light
    assert (paper < 60) != is_light
    assert abs(paper - tick) > 100


def test_charts_follow_when_the_scheme_changes(opened):
    page = opened("demo", scheme="light").page
    before = brightness(page, TICK)

    page.emulate_media(color_scheme="dark")

    wait_until(page, f"{TICK} !== 'rgb(84, 93, 104)'")
    assert brightness(page, TICK) > before + 60


def test_names_that_mean_harm_are_shown_as_text(opened):
    found = opened("busy")

    page = found.page
    assert found.dialogs == []
    assert page.evaluate("document.querySelectorAll('main script, header script').length") == 0
    assert page.locator("h1 bdi").inner_text() == HOSTILE
    assert page.locator(f"bdi:has-text('{HOSTILE}/Proxy')").count() > 2
    rows = page.locator(".ytick text").all_text_contents()
    assert "\u2068<i>[red]\u2026\u2069 *" in rows
    assert page.locator(".plot a, .plot image").count() == 0


def test_choosing_a_step_moves_all_time_axes_and_back(opened):
    page = opened("demo").page
    whole = page.evaluate(RANGES)

    page.get_by_label("Show").select_option(index=2)
    wait_until(page, f"({RANGES}).every(range => range[0] === 8 && range[1] === 30)")
    page.get_by_label("Show").select_option(index=0)
    wait_until(page, f"({RANGES}).every(range => range[0] === 0)")

    assert len(whole) == 5
    assert page.evaluate(RANGES) == whole


def test_a_zoom_of_one_chart_moves_the_others(opened):
    page = opened("demo").page
    page.locator("#plot-latency").scroll_into_view_if_needed()
    area = page.locator("#plot-latency .nsewdrag").bounding_box()

    page.mouse.move(area["x"] + 0.25 * area["width"], area["y"] + 50)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.5 * area["width"], area["y"] + 55, steps=5)
    page.mouse.up()

    wait_until(page, f"({RANGES}).every(range => range[0] > 10)")
    ranges = page.evaluate(RANGES)
    assert all(one == pytest.approx(ranges[0]) for one in ranges)
    assert ranges[0] == pytest.approx([0.25 * 82, 0.5 * 82], abs=1.5)


def test_a_double_click_brings_back_the_whole_run(opened):
    page = opened("demo").page
    whole = page.evaluate(RANGES)
    page.get_by_label("Show").select_option(index=2)
    wait_until(page, f"({RANGES}).every(range => range[0] === 8)")

    page.locator("#plot-latency").scroll_into_view_if_needed()
    page.locator("#plot-latency .nsewdrag").dblclick()

    wait_until(page, f"({RANGES}).every(range => range[0] === 0)")
    assert page.evaluate(RANGES) == whole


def test_no_chart_offers_to_send_itself_anywhere(opened):
    page = opened("demo").page
    page.locator("#plot-load .nsewdrag").hover()

    assert page.locator(".plot button, .plot a, .modebar-btn").count() == 0


def test_a_finger_on_a_chart_scrolls_the_page(opened):
    page = opened("demo", 390, has_touch=True, is_mobile=True).page

    modes = page.evaluate(
        "[...document.querySelectorAll('.plot')].map(plot => plot.layout.dragmode)"
    )
    assert set(modes) == {False}


def test_the_first_stop_of_the_keyboard_skips_to_the_report(opened):
    page = opened("traced").page

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")

    assert page.evaluate("location.hash") == "#main"


def test_evidence_is_reached_and_opened_with_the_keyboard(opened):
    page = opened("traced").page
    evidence = page.locator(".cause details").first
    assert evidence.get_attribute("open") is None

    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.startsWith('Evidence of')"):
            break
    page.keyboard.press("Enter")

    assert evidence.get_attribute("open") == ""
    assert page.get_by_text("waited 4.1 s until it got its place").first.is_visible()


def test_a_screen_reader_finds_landmarks_headings_tables_and_pictures(opened):
    page = opened("demo").page

    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("heading", level=2).count() >= 5
    assert page.get_by_role("table", name="Verdict of each gate").count() == 1
    assert page.get_by_role("table", name="Load by step").count() == 1
    picture = page.get_by_role("img", name="Replicas by state").get_attribute("aria-label")
    assert "RUNNING replicas lie between 1 and 4 and end at 1." in picture


def test_what_is_printed_is_light_and_has_its_evidence_open(opened):
    page = opened("traced", scheme="dark").page
    dark = brightness(page, TICK)

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert page.locator(".cause details:not([open])").count() == 0
    wait_until(page, f"{TICK} === 'rgb(84, 93, 104)'")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".cause details[open]").count() == 0
    wait_until(page, f"{TICK} !== 'rgb(84, 93, 104)'")
    assert brightness(page, TICK) == dark


def test_without_scripts_the_figures_can_still_be_read(browser, written):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(written("demo").as_uri())

    page.get_by_text("Data: Load and latency").click()
    assert page.locator("#latency-data").is_visible()
    context.close()


def test_the_crosshair_stands_at_one_moment_in_every_chart_and_shows_values_there(opened):
    page = opened("demo").page
    page.locator("#plot-latency").scroll_into_view_if_needed()
    area = page.locator("#plot-load .nsewdrag").bounding_box()

    page.mouse.move(area["x"] + 0.4 * area["width"], area["y"] + 40)
    page.mouse.move(area["x"] + 0.5 * area["width"], area["y"] + 50)

    wait_until(page, "document.querySelectorAll('.crosshair:not([hidden])').length === 5")
    wait_until(page, "document.querySelectorAll('#plot-latency .hoverlayer .legend').length === 1")
    lines = page.locator(".crosshair:not([hidden])")
    lefts = [lines.nth(i).bounding_box()["x"] for i in range(lines.count())]
    assert max(lefts) - min(lefts) < 1.5
    page.mouse.move(5, 5)
    wait_until(page, "document.querySelectorAll('.crosshair:not([hidden])').length === 0")


def test_a_step_leads_to_its_replica_and_from_there_to_its_log(opened):
    page = opened("demo").page
    link = page.locator("a[href^='#deployment-1-replica']").first

    link.click()

    row = page.locator("tr:target")
    assert row.is_visible()
    assert row.locator("th").inner_text() == link.inner_text()
    assert "serve/replica_" in row.inner_text()


def test_the_command_is_copied_or_at_least_selected(opened):
    page = opened("demo").page

    page.get_by_role("button", name="Copy").click()

    wait_until(page, "document.querySelector('[data-copies]').textContent !== 'Copy'")


def test_what_is_printed_is_the_whole_run_and_the_zoom_comes_back(opened):
    page = opened("demo").page
    page.get_by_label("Show").select_option(index=2)
    wait_until(page, f"({RANGES}).every(range => range[0] === 8)")

    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wait_until(page, f"({RANGES}).every(range => range[0] === 0)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")

    wait_until(page, f"({RANGES}).every(range => range[0] === 8)")


def test_on_a_phone_a_table_that_goes_on_says_so(opened):
    page = opened("demo", 390).page

    boxes = page.locator(".scroll[data-more]")
    assert boxes.count() >= 3
    hint = "getComputedStyle(document.querySelector('.scroll[data-more]'), '::before').content"
    assert "scroll sideways" in page.evaluate(hint)
    assert opened("demo", 1440).page.locator("#scale-lag ~ * .scroll[data-more]").count() == 0


def test_it_works_in_a_sandboxed_frame(browser, written, tmp_path):
    page = browser.new_page()
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<!doctype html><iframe sandbox="allow-scripts" src="{written("demo").as_uri()}" '
        'style="width:1000px;height:700px"></iframe>'
    )
    page.goto(outer.as_uri())

    frame = page.frames[1]
    frame.wait_for_selector("html[data-drawn=yes]", timeout=60_000)
    frame.locator("[data-copies]").click()
    frame.wait_for_selector("[data-copies]:has-text('e')")
    assert found == []
    page.close()
