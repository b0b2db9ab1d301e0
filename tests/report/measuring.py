"""What a browser makes of a page: whether it fits its window, says where it is cut, and asks for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

MEASURE = r"""
async () => {
  const page = document, view = window;
  await new Promise(done => setTimeout(done, 300));
  const box = element => element.closest('.scroll');
  const hinted = element => view.getComputedStyle(element, '::before').display !== 'none'
    && view.getComputedStyle(element, '::before').content.includes('scroll');
  const boxes = [...page.querySelectorAll('.scroll')];
  const wide = boxes.filter(element => element.scrollWidth > element.clientWidth + 1);
  const outside = [...page.querySelectorAll('main *')].filter(element =>
    !box(element) && !element.closest('svg') && element.getBoundingClientRect().right > view.innerWidth + 1);
  const cut = [...page.querySelectorAll('main *')].filter(element => !element.matches('.scroll')
    && !element.closest('svg') && element.scrollWidth > element.clientWidth + 1
    && view.getComputedStyle(element).overflowX !== 'visible');
  const overlapping = [...page.querySelectorAll('svg')].filter(drawing => drawing.getBoundingClientRect().width > 0)
    .flatMap(drawing => {
      const texts = [...drawing.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
      return texts.flatMap(([said, a], i) => texts.slice(i + 1).filter(([_, b]) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4.5).map(([other, _]) => said + ' | ' + other));
    });
  return {
    width: view.innerWidth,
    page: page.documentElement.scrollWidth,
    tables: boxes.length,
    wide: wide.length,
    unhinted: wide.filter(element => !hinted(element)).map(element => element.ariaLabel),
    hinted_in_vain: boxes.filter(element => !wide.includes(element) && hinted(element)).length,
    outside: outside.map(element => element.outerHTML.slice(0, 120)),
    cut: cut.map(element => element.outerHTML.slice(0, 120)),
    overlapping,
    requests: view.performance.getEntriesByType('resource').map(entry => entry.name),
    dead_links: [...page.querySelectorAll('a')].filter(link =>
      !page.getElementById(link.getAttribute('href').slice(1))).length,
  };
}
"""


@dataclass(frozen=True)
class Measuring:
    """Measures pages."""

    browser: Browser
    folder: Path

    def measure(self, page: str, width: int) -> dict[str, Any]:
        """What a browser makes of the page in a window of this width."""
        place = self.folder / "page.html"
        place.write_text(page, encoding="utf-8")
        tab = self.browser.new_page(viewport={"width": width, "height": 800})
        tab.goto(place.as_uri())
        measured: dict[str, Any] = tab.evaluate(MEASURE)
        tab.close()
        return measured


def in_order(found: dict[str, Any], width: int) -> None:
    """Asserts that the page fits its window, that what is cut off says so, and that nothing was asked for."""
    assert found["width"] == width
    assert found["page"] <= width
    for fault in ("unhinted", "outside", "cut", "overlapping", "requests"):
        assert found[fault] == [], fault
    assert found["hinted_in_vain"] == found["dead_links"] == 0
