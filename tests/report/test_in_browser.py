"""Pages in a real browser: nothing is cut without a hint, at a desk's width and at a phone's, and nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from secure_fl.audit.dpia import draft_of, read_facts
from secure_fl.audit.dpia.layouts import LAYOUTS, Layout
from secure_fl.audit.dpia.page import render as render_draft
from secure_fl.federation.results import Result
from secure_fl.progress import unseen
from secure_fl.report import render
from secure_fl.report.attack_page import render as render_attack
from secure_fl.report.encrypted_scores import ScoringRequest, score_encrypted_file
from secure_fl.report.poisoning_page import render as render_poisoning
from secure_fl.report.scoring_page import render as render_scoring
from secure_fl.training import Network
from tests.browser import WIDTHS, needs_browser
from tests.report.made_up_attacks import ATTACKS
from tests.report.made_up_poisoning import PAGES
from tests.report.measuring import Measuring, in_order
from tests.report.scored_run import scored_run
from tests.report.test_selection import ruled

pytestmark = needs_browser

MakeResult = Callable[..., Result]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "shape",
    [{"rounds": 5}, {"banks": 14, "rounds": 30}, {"rounds": 1, "names": ["ein sehr langer Name einer Bank", "b", "c"]}],
    ids=["ordinary", "many banks", "one round, a long name"],
)
def test_the_report_of_a_run(browser: Measuring, make_result: MakeResult, shape: dict[str, Any], width: int) -> None:
    found = browser.measure(render(make_result(**shape)), width)
    in_order(found, width)
    assert found["tables"] >= 6
    assert (found["wide"] > 0) == (width == 390)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", list(ATTACKS))
def test_the_page_of_an_attack(browser: Measuring, name: str, width: int) -> None:
    in_order(browser.measure(render_attack(ATTACKS[name]), width), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", list(PAGES))
def test_the_page_of_poisoning(browser: Measuring, name: str, width: int) -> None:
    in_order(browser.measure(render_poisoning(PAGES[name]), width), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", [{"banks": 10, "rounds": 8}, {"banks": 30, "rounds": 70}], ids=str)
def test_the_report_of_a_run_with_a_rule(
    browser: Measuring, make_result: MakeResult, shape: dict[str, Any], width: int
) -> None:
    found = browser.measure(render(ruled(make_result(plaintext=True, **shape))), width)
    in_order(found, width)
    assert (found["wide"] > 0) == (width == 390)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("network", [Network(()), Network((4,))], ids=["logistic regression", "ReLU"])
def test_the_page_of_encrypted_scores(browser: Measuring, tmp_path: Path, network: Network, width: int) -> None:
    run = scored_run(tmp_path, network)
    request = ScoringRequest(run.model, run.rows, tmp_path / "scores.csv", training=run.training)
    in_order(browser.measure(render_scoring(score_encrypted_file(request, lambda: nullcontext(unseen))), width), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_draft_of_an_assessment(
    browser: Measuring, run_small: Callable[..., Result], tmp_path: Path, layout: Layout, width: int
) -> None:
    run = run_small(scheme="masked", banks=4, drop=["bank-2@2:masked_input"]).save(tmp_path / "run")
    found = browser.measure(render_draft(draft_of(read_facts(run), layout).document), width)
    in_order(found, width)
    assert found["tables"] > 20


def test_the_browser_notices_what_would_be_wrong(browser: Measuring, make_result: MakeResult) -> None:
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
