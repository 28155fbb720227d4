"""Scripts to evaluate in an open page."""

import time

RANGES = """[...document.querySelectorAll('.plot')].map(plot => plot.layout.xaxis)
    .filter(axis => !axis.fixedrange).map(axis => axis.range.map(Number))"""
WIDTHS = """[...document.querySelectorAll('.plot')].map(plot =>
    [plot.id, plot.querySelector('.main-svg')?.getBoundingClientRect().width ?? 0, plot.clientWidth])"""
# Texts of a kind that lie over each other; times below a chart must not touch either.
OVERLAPS = """() => {
    const found = [];
    for (const plot of document.querySelectorAll('.plot')) {
        for (const kind of ['.xtick text', '.ytick text', '.annotation-text-g']) {
            const most = kind === '.xtick text' ? -5 : 0.5;
            const boxes = [...plot.querySelectorAll(kind)].map(one => one.getBoundingClientRect());
            boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
                const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                if (wide > most && high > 3) found.push([plot.id, kind, a.left, b.left]);
            }));
        }
    }
    return found;
}"""
TICK = "getComputedStyle(document.querySelector('.xtick text')).fill"


def wait_until(page, script):
    """Until `script` is true; playwright's own way to wait needs what the page's policy forbids."""
    deadline_s = time.monotonic() + 20
    while not page.evaluate(script):
        assert time.monotonic() < deadline_s, f"never true: {script}"
        page.wait_for_timeout(50)


def brightness(page, script):
    red, green, blue = page.evaluate(f"{script}.match(/\\d+/g).slice(0, 3).map(Number)")
    return (red + green + blue) / 3
