"""Elements of the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

#: The table that is the legend of the chart.
LEGEND = ".bbm-statistics"
COMPARISON = ".bbm-comparison"
PANEL = ".bbm-panel"
FOUND = ".bbm-found"
CHART = ".bbm-chart-plot canvas"
TIP = ".bbm-tip"
_AXE = Path(__file__).resolve().parents[2] / "www" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """The violations of the rules of axe on the page."""
    page.evaluate(_AXE.read_text())
    found: list[str] = page.evaluate("""async () => (await axe.run("main.bbm")).violations.map(
        each => `${each.id}: ${each.nodes.map(node => node.html.slice(0, 200)).join(" | ")}`)""")
    return found


def rows(page: Page) -> Locator:
    """The rows of the list of series."""
    return page.locator(".bbm-list tbody tr:not(.bbm-group-head)")


def names(page: Page) -> list[str]:
    """The names of the listed series."""
    return rows(page).locator("th bdi").all_text_contents()


def row_of(page: Page, series: str, table: str = ".bbm-list") -> Locator:
    """The rows of one series in a table."""
    name = page.locator("th bdi", has_text=re.compile(f"^{re.escape(series)}$"))
    return page.locator(f"{table} tbody tr").filter(has=name)


def line_rows(page: Page) -> Locator:
    """The rows of the legend."""
    return page.locator(f"{LEGEND} tbody tr")


def labels(page: Page, count: int) -> set[str]:
    """The labels of the legend, once it has ``count`` lines."""
    expect(line_rows(page)).to_have_count(count)
    return set(line_rows(page).locator("th bdi").all_text_contents())


def statistics(page: Page) -> dict[str, dict[str, str]]:
    """The texts of the legend: by line, then by column."""
    expect(page.locator(CHART).first).to_be_visible()
    expect(page.locator(f"{LEGEND} tr:not(.bbm-hidden-line) td:nth-child(4)").filter(has_text="\u2013")).to_have_count(
        0
    )
    columns = [text.strip(" \u25b2\u25bc") for text in page.locator(f"{LEGEND} thead th").all_text_contents()][1:]
    found = {}
    for row in line_rows(page).all():
        label = row.locator("th bdi").text_content() or ""
        found[label] = dict(zip(columns, row.locator("td").all_text_contents(), strict=True))
    return found


def counted(page: Page) -> int:
    """The number of points of all lines of the chart."""
    return sum(int(row["Points"].replace("\u202f", "")) for row in statistics(page).values())


def chart(page: Page, name: str) -> Locator:
    """The chart that has the keyboard."""
    return page.get_by_role("group", name=f"{name} over time")


def described(page: Page, name: str) -> Locator:
    """The description of the chosen point for screen readers."""
    return chart(page, name).locator("[aria-live=polite]")


def drawn_texts(page: Any) -> list[str]:
    """The texts that were drawn on canvases; needs :data:`RECORD_TEXTS` as an initial script."""
    return list(page.evaluate("window.drawnTexts"))


#: Records what a page draws on canvases: rectangles, arcs, and lines with their dashes, each with its colour.
RECORD_DRAWINGS = """
window.drawings = [];
for (const [call, style] of [["fillRect", "fillStyle"], ["arc", "strokeStyle"], ["stroke", "strokeStyle"]]) {
    const original = CanvasRenderingContext2D.prototype[call];
    CanvasRenderingContext2D.prototype[call] = function (...rest) {
        if (call !== "stroke" || rest.length === 0) {
            window.drawings.push({call, colour: String(this[style]), dash: this.getLineDash()});
        }
        return original.apply(this, rest);
    };
}
"""


def drawings(page: Page, call: str, colour: str, dash: list[float] | None = None) -> Any:
    """Wait until something is drawn by a call in a colour, a regular expression, with that dash if it is not None."""
    return page.wait_for_function(
        """([call, colour, dash]) => window.drawings.some(each => each.call === call
            && new RegExp(colour).test(each.colour) && (dash === null || String(each.dash) === String(dash)))""",
        arg=[call, colour, dash],
    )


#: Records the texts that a page draws on canvases.
RECORD_TEXTS = """
window.drawnTexts = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.drawnTexts.push(text);
    return fillText.call(this, text, ...rest);
};
"""
