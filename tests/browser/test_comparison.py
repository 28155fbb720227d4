"""The page of a comparison as a reader meets it."""

import math

import pytest

from tests.browser.looks import OVERLAPS, RANGES, TICK, WIDTHS, brightness, wait_until
from tests.support.built.drawn import HOSTILE

NAMES = ("compared-stored", "compared-two", "compared-five", "compared-hostile")
SIX_MB = 6_000_000
TICKS = """[...document.querySelectorAll('#plot-ratios .xtick text')].map(tick => {
    const box = tick.getBoundingClientRect();
    return [tick.textContent, box.left + box.width / 2];
})"""
LINES = """[...document.querySelectorAll('#plot-ratios .shapelayer path')].map(line => {
    const box = line.getBoundingClientRect();
    return box.left + box.width / 2;
})"""


@pytest.mark.parametrize(
    ("name", "scheme"), [*((name, "light") for name in NAMES), ("compared-five", "dark")]
)
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_without_a_network_or_a_complaint_and_fits(opened, written, name, width, scheme):
    found = opened(name, width, scheme)

    page = found.page
    assert found.complaints == found.dialogs == []
    assert found.requests == [written(name).as_uri()]
    assert written(name).stat().st_size < SIX_MB
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawn = page.evaluate(WIDTHS)
    assert len(drawn) >= 3
    assert [one for one in drawn if not 0 < one[1] <= one[2] + 1] == []
    assert page.evaluate(OVERLAPS) == []


def test_choosing_a_step_moves_all_time_axes(opened):
    page = opened("compared-five").page

    page.get_by_label("Show", exact=True).select_option(index=2)

    wait_until(page, f"({RANGES}).every(range => range[0] === 8 && range[1] === 30)")
    assert len(page.evaluate(RANGES)) == 3


def at_of(ratio: float, ticks: dict[str, float]) -> float:
    """Place of `ratio` on a logarithmic axis, from the places of its outermost ticks."""
    shown = sorted((float(text), place) for text, place in ticks.items())
    (low, from_px), (high, to_px) = shown[0], shown[-1]
    return from_px + (to_px - from_px) * math.log(ratio / low) / math.log(high / low)


def test_a_ratio_lies_where_its_value_is_and_the_line_at_1_where_1_is(opened):
    page = opened("compared-two").page

    # Ticks and lines are drawn by different parts of plotly: on a logarithmic axis one may be off.
    ticks = dict(page.evaluate(TICKS))
    lines = page.evaluate(LINES)

    assert lines[0] == pytest.approx(ticks["1"], abs=1)
    assert lines[1] == pytest.approx(at_of(1.1, ticks), abs=1)


def test_dark_text_of_charts_turns_light_and_what_is_printed_is_light(opened):
    page = opened("compared-five", scheme="dark").page
    dark = brightness(page, TICK)

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    wait_until(page, f"{TICK} === 'rgb(84, 93, 104)'")
    assert dark > 150


def test_names_that_mean_harm_are_shown_as_text(opened):
    page = opened("compared-hostile").page

    assert page.evaluate("document.querySelectorAll('main script, header script').length") == 0
    assert page.locator(f"bdi:has-text('{HOSTILE}')").count() > 6
    names = page.locator("#plot-ratios .annotation-text").all_text_contents()
    assert any("[red]x[/red]<s\u2026" in name for name in names)
    assert page.locator(".plot a, .plot image").count() == 0


def test_a_screen_reader_finds_verdict_tables_and_pictures(opened):
    page = opened("compared-two").page

    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    title = page.get_by_role("heading", level=1).inner_text()
    assert " ".join(title.split()) == "REGRESSION candidate against base"
    assert page.get_by_role("table", name="Main figures").count() == 1
    assert page.get_by_role("table", name="Figures that explain").count() == 1
    assert page.get_by_role("table", name="Elastic speedup").count() == 1
    ratios = page.get_by_role("img", name="Ratios").get_attribute("aria-label")
    assert "default/Sleeper:scale_up.total_s 1." in ratios
    replicas = page.get_by_role("img", name="Replicas").get_attribute("aria-label")
    assert "RUNNING replicas of the candidate lie between 1 and 4 and end at 1." in replicas


def test_the_first_stop_of_the_keyboard_skips_to_the_comparison(opened):
    page = opened("compared-stored").page

    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.textContent") == "Skip to the comparison"
