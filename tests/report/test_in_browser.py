"""Pages in a real browser, where there is one: nothing is cut without a hint, at a desk's width and at a phone's.

The page lies in a frame of that width, as text, so that a script beside it can measure what the browser made of it; a
page itself has no script. Chromium prints what the script found.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from secure_fl.federation.results import Result
from secure_fl.progress import unseen
from secure_fl.report import render
from secure_fl.report.attack_page import render as render_attack
from secure_fl.report.encrypted_scores import ScoringRequest, score_encrypted_file
from secure_fl.report.poisoning_page import render as render_poisoning
from secure_fl.report.scoring_page import render as render_scoring
from secure_fl.training import Network
from tests.report.made_up_attacks import ATTACKS
from tests.report.made_up_poisoning import PAGES
from tests.report.scored_run import scored_run
from tests.report.test_selection import ruled

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

WIDTHS = (1280, 390)
MakeResult = Callable[..., Result]

MEASURE = r"""
async () => {
  const frame = document.querySelector('iframe'), page = frame.contentDocument, view = frame.contentWindow;
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
class Browser:
    """Measures pages; whatever it writes lies in one folder."""

    folder: Path

    def measure(self, page: str, width: int) -> dict[str, Any]:
        """What a browser makes of the page in a window of this width."""
        harness = self.folder / "harness.html"
        harness.write_text(
            f'<meta charset="utf-8"><body><iframe style="width:{width}px;height:800px;border:0" '
            f'srcdoc="{html.escape(page)}"></iframe><pre id="found"></pre><script>addEventListener("load", async () => '
            f'{{ document.querySelector("#found").textContent = JSON.stringify(await ({MEASURE})()); }});</script>',
            encoding="utf-8",
        )
        assert CHROMIUM is not None
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self.folder / 'profile'}",
            "--window-size=1400,900", "--virtual-time-budget=20000", "--dump-dom", harness.as_uri(),
        ]  # fmt: skip
        dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180).stdout
        found = re.search(r'<pre id="found">(\{.*?\})</pre>', dom, flags=re.DOTALL)
        assert found is not None, "the page did not load"
        measured: dict[str, Any] = json.loads(html.unescape(found[1]))
        return measured


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(tmp_path_factory.mktemp("browser"))


def in_order(found: dict[str, Any], width: int) -> None:
    """Asserts that the page fits its window, that what is cut off says so, and that nothing was asked for."""
    assert found["width"] == width
    assert found["page"] <= width
    for fault in ("unhinted", "outside", "cut", "overlapping", "requests"):
        assert found[fault] == [], fault
    assert found["hinted_in_vain"] == found["dead_links"] == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "shape",
    [{"rounds": 5}, {"banks": 14, "rounds": 30}, {"rounds": 1, "names": ["ein sehr langer Name einer Bank", "b", "c"]}],
    ids=["ordinary", "many banks", "one round, a long name"],
)
def test_the_report_of_a_run(browser: Browser, make_result: MakeResult, shape: dict[str, Any], width: int) -> None:
    found = browser.measure(render(make_result(**shape)), width)
    in_order(found, width)
    assert found["tables"] >= 6
    assert (found["wide"] > 0) == (width == 390)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", list(ATTACKS))
def test_the_page_of_an_attack(browser: Browser, name: str, width: int) -> None:
    in_order(browser.measure(render_attack(ATTACKS[name]), width), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", list(PAGES))
def test_the_page_of_poisoning(browser: Browser, name: str, width: int) -> None:
    in_order(browser.measure(render_poisoning(PAGES[name]), width), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", [{"banks": 10, "rounds": 8}, {"banks": 30, "rounds": 70}], ids=str)
def test_the_report_of_a_run_with_a_rule(
    browser: Browser, make_result: MakeResult, shape: dict[str, Any], width: int
) -> None:
    found = browser.measure(render(ruled(make_result(plaintext=True, **shape))), width)
    in_order(found, width)
    assert (found["wide"] > 0) == (width == 390)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("network", [Network(()), Network((4,))], ids=["logistic regression", "ReLU"])
def test_the_page_of_encrypted_scores(browser: Browser, tmp_path: Path, network: Network, width: int) -> None:
    run = scored_run(tmp_path, network)
    request = ScoringRequest(run.model, run.rows, tmp_path / "scores.csv", training=run.training)
    in_order(browser.measure(render_scoring(score_encrypted_file(request, lambda: nullcontext(unseen))), width), width)


def test_the_browser_notices_what_would_be_wrong(browser: Browser, make_result: MakeResult) -> None:
    """Each fault that the tests above look for, planted."""
    page = render(make_result(rounds=2))
    planted = page.replace(
        "</main>",
        '<img src="http://127.0.0.1:9/x"><div style="width:2000px">far</div>'
        '<svg><text x="9" y="20">one</text><text x="12" y="22">other</text></svg></main>',
    )
    planted = planted.replace('class="key"', 'class="key" style="overflow-x:hidden;white-space:nowrap;width:20px"', 1)
    planted = planted.replace('href="#custody"', 'href="#nowhere"', 1)
    found = browser.measure(planted, 390)
    assert found["page"] >= 2000
    assert found["requests"] == ["http://127.0.0.1:9/x"]
    assert found["outside"]
    assert found["cut"]
    assert found["overlapping"] == ["one | other"]
    assert found["dead_links"] == 1
    silent = browser.measure(page.replace("scroll sideways", ""), 390)
    assert len(silent["unhinted"]) == silent["wide"] > 0
