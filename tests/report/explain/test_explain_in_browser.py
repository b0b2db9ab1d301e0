"""The step-by-step page in a real browser: stepping, looking, asking; it loads nothing and complains of nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from secure_fl.report.explain import Request, explain, render
from tests.browser import WIDTHS, needs_browser
from tests.report.measuring import Measuring, in_order

pytestmark = needs_browser

MOST_BYTES = 1_000_000
REQUESTS = {
    "masked": Request("masked", drop={"bank-2": "masked_input"}),
    "masked, five banks": Request("masked", banks=5),
    "additive": Request("additive", banks=5),
    "ckks": Request("ckks"),
    "multi-krum": Request("ckks", robust="multi-krum"),
    "bfv": Request("bfv"),
    "rlwe": Request("rlwe"),
    "plaintext": Request("plaintext"),
    "score": Request("ckks", score=True),
}


@cache
def page_of(name: str) -> str:
    return render(explain(REQUESTS[name]))


class Opened:
    """A page in a tab, and what the browser said of it."""

    def __init__(self, browser: Browser, place: Path, width: int = 1280, script: bool = True) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=script, reduced_motion="reduce"
        )
        self.tab: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.troubles.append(message.text))
        self.tab.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(place.as_uri())

    def find(self, query: str) -> Locator:
        return self.tab.locator(query)

    @property
    def status(self) -> str:
        return self.find("output").first.inner_text()


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Measuring, tmp_path: Path) -> Iterator[Open]:
    """Opens a page by its name; afterwards nothing was asked for and nothing went wrong."""
    tabs: list[Opened] = []

    def open_page(name: str, width: int = 1280, script: bool = True) -> Opened:
        place = tmp_path / "page.html"
        place.write_text(page_of(name), encoding="utf-8")
        tabs.append(Opened(browser.browser, place, width, script))
        return tabs[-1]

    yield open_page
    for tab in tabs:
        assert tab.troubles == []
        assert len(tab.requests) == 1, "the page itself"
        tab.context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REQUESTS)
def test_the_page_fits_and_is_small(browser: Measuring, name: str, width: int) -> None:
    assert len(page_of(name).encode()) < MOST_BYTES
    in_order(browser.measure(page_of(name), width), width)


@pytest.mark.parametrize("name", REQUESTS)
def test_one_steps_through_every_story(opened: Open, name: str) -> None:
    page = opened(name)
    stories = page.find(".play").first.locator(".stories input")
    for number in range(stories.count()):
        stories.nth(number).check()
        story = page.find(f'.play >> nth=0 >> .story[data-story="{number}"]')
        steps = story.locator(".step").count()
        assert page.status.startswith(f"Step 1 of {steps}: ")
        for step in range(1, steps):
            page.find('[data-go="on"]').first.click()
            shown = story.locator(".step:visible")
            expect(shown).to_have_count(1)
            expect(shown).to_have_attribute("data-step", str(step))
            expect(story.locator(".row[aria-current]")).to_have_attribute("data-step", str(step))
            assert page.status.startswith(f"Step {step + 1} of {steps}: ")
        expect(page.find('[data-go="on"]').first).to_have_attribute("aria-disabled", "true")
        expect(page.find(".story:visible").first).to_have_attribute("data-story", str(number))


def test_the_keyboard_steps_plays_and_jumps(opened: Open) -> None:
    page = opened("masked")
    keys = page.tab.keyboard
    keys.press("End")
    assert page.status.startswith("Step 1 "), "outside of the steps it is the page's"
    page.find(".story.current .row[aria-current]").focus()
    for key, status in (
        ("ArrowRight", "Step 2 "),
        ("End", "Step 19 "),
        ("ArrowRight", "Step 19 "),
        ("ArrowLeft", "Step 18 "),
        ("Home", "Step 1 "),
    ):
        keys.press(key)
        assert page.status.startswith(status), key
    keys.press("p")
    expect(page.find('[data-go="play"]')).to_have_text("Pause")
    expect(page.find("output")).to_contain_text("Step 2 ", timeout=6_000)
    keys.press("p")
    expect(page.find('[data-go="play"]')).to_have_text("Play")


def test_all_controls_are_reached_by_tab_and_have_names(opened: Open) -> None:
    page = opened("ckks")
    unnamed = page.tab.evaluate(
        """() => [...document.querySelectorAll('button, input, select')].filter(each =>
             !(each.ariaLabel || each.innerText || (each.labels && each.labels[0].innerText)).trim()).length"""
    )
    assert unnamed == 0
    reached = set()
    for _ in range(30):
        page.tab.keyboard.press("Tab")
        reached.add(page.tab.evaluate("document.activeElement.dataset.go || document.activeElement.className"))
    assert {"play", "on", "last", "eyes"} <= reached
    assert any("row" in each for each in reached)


def test_a_click_on_a_message_shows_its_fields(opened: Open) -> None:
    page = opened("masked")
    page.find('.story.current .row[data-step="9"]').click()
    assert page.status == "Step 10 of 19: bank-1 sends its masked input"
    fields = page.find(".story.current .step.current .fields tbody tr")
    assert fields.locator("th").all_inner_texts() == ["envelope", "masked input"]
    page.find('.story.current .row[data-step="4"]').click()
    messages = page.find(".story.current .step.current .message")
    assert messages.count() == 3
    expect(messages.nth(1).locator(".fields")).to_be_hidden()
    messages.nth(1).locator("summary").click()
    expect(messages.nth(1).locator(".fields")).to_be_visible()


def test_each_party_sees_what_is_for_it(opened: Open) -> None:
    page = opened("masked")
    page.find('.story.current .row[data-step="5"]').click()  # bank-1 seals letters for bank-2 and bank-3
    eyes, step = page.find(".eyes"), page.find(".story.current .step.current")
    for viewer, opens, gets in (
        ("", 2, True), ("bank-1", 2, True), ("bank-2", 1, False), ("aggregator", 0, True), ("an eavesdropper", 0, True)
    ):  # fmt: skip
        eyes.select_option(viewer)
        assert step.locator("td[data-readers] .meaning:visible").count() == opens, viewer
        assert step.locator("td[data-readers] code:visible").count() == 2
        assert (step.locator(".message .aside:visible").count() == 0) == gets
    page.find('.story.current .row[data-step="9"]').click()  # bank-1 masks
    eyes.select_option("bank-1")
    expect(page.find(".story.current .step.current .sums")).to_be_visible()
    eyes.select_option("aggregator")
    expect(page.find(".story.current .step.current .sums")).to_be_hidden()
    expect(page.find(".story.current .step.current .work .aside")).to_have_text("aggregator does not see this.")


def test_masks_that_cancel_are_marked_together(opened: Open) -> None:
    page = opened("masked")
    page.find('[data-go="last"]').click()
    line = page.find(".story.current .step.current [data-twin='bank-1-with-bank-3']").first
    line.hover()
    linked = page.find(".story.current .step.current .linked")
    assert sorted(linked.locator("th").all_inner_texts()) == ["bank-1: mask with bank-3", "bank-3: mask with bank-1"]
    assert len(set(linked.evaluate_all("lines => lines.map(line => line.style.getPropertyValue('--twin'))"))) == 1


def test_curious_parties_pool_what_they_saw(opened: Open) -> None:
    page = opened("ckks")
    boxes, pool = page.find(".members input"), page.find(".pool:visible")
    expect(pool.locator("h3")).to_have_text("aggregator")
    assert pool.locator(".broken").count() == 0
    page.find('.members input[value="key-authority"]').check()
    expect(pool.locator("h3")).to_have_text("aggregator and key-authority")
    assert pool.locator(".broken").count() == 3
    for number in range(boxes.count()):
        boxes.nth(number).uncheck()
    assert pool.count() == 0
    expect(page.find(".nobody")).to_be_visible()


def test_a_story_has_columns_of_its_own_parties(opened: Open) -> None:
    page = opened("additive")
    eyes, heads = page.find(".eyes"), page.find(".story.current .heads span")
    assert heads.all_inner_texts()[-2:] == ["share-holder-1", "share-holder-2"]
    page.find(".play .stories input").nth(4).check()
    assert heads.all_inner_texts()[-3:] == ["share-holder-1", "share-holder-2", "share-holder-3"]
    page.find('[data-go="last"]').click()
    page.find('[data-go="back"]').click()
    assert page.find(".story.current .step.current h3").inner_text().endswith("share-holder-3 adds its shares")
    for viewer, hidden in (("share-holder-3", False), ("share-holder-1", True)):
        eyes.select_option(viewer)
        expect(page.find(".story.current .step.current .sums")).to_be_visible(visible=not hidden)


def test_with_two_plays_each_has_its_own_steps(opened: Open) -> None:
    page = opened("score")
    second = page.find(".play").nth(1)
    second.locator('[data-go="on"]').click()
    assert second.locator("output").inner_text().startswith("Step 2 of 4: ")
    assert page.status.startswith("Step 1 ")


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_the_current_step_is_in_sight(opened: Open, width: int) -> None:
    page = opened("masked, five banks", width)
    for key in ["ArrowRight"] * 40 + ["Home"]:
        page.tab.keyboard.press(key) if key != "Home" else page.find('[data-go="first"]').click()
        inside = page.tab.evaluate(
            """() => { const story = document.querySelector('.story.current');
              const box = story.querySelector('.diagram').getBoundingClientRect();
              const head = story.querySelector('.heads').getBoundingClientRect();
              const row = story.querySelector('.row[aria-current]').getBoundingClientRect();
              return row.top >= head.bottom - 2 && row.bottom <= box.bottom + 2; }"""
        )
        assert inside, page.status


def test_keys_of_a_table_or_a_choice_are_its_own(opened: Open) -> None:
    page = opened("masked")
    page.find(".eyes").focus()
    page.tab.keyboard.press("ArrowRight")
    page.find("#custody-0 .scroll").first.focus()
    page.tab.keyboard.press("Home")
    assert page.status.startswith("Step 1 ")
    page.tab.keyboard.press("ArrowRight")
    assert page.status.startswith("Step 1 ")


def test_playing_from_the_end_begins_anew(opened: Open) -> None:
    page = opened("plaintext")
    page.find('[data-go="last"]').click()
    page.find('[data-go="play"]').click()
    assert page.status.startswith("Step 1 ")


def test_each_pair_of_masks_has_a_letter_of_its_own(opened: Open) -> None:
    page = opened("masked, five banks")
    letters = page.tab.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.story.current [data-twin]')]
             .map(line => [line.dataset.twin, getComputedStyle(line.querySelector('th'), '::after').content]))"""
    )
    assert len(letters) == 5 + 10
    assert {shown.strip('"\u2002') for shown in letters.values()} == {f"({letter})" for letter in "abcdefghijklmno"}


def test_on_paper_all_messages_are_open(opened: Open) -> None:
    page = opened("ckks")
    page.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.find("details:not([open])").count() == 0
    page.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.find("details:not([open])").count() > 0


def test_without_scripts_all_steps_stand_there(opened: Open) -> None:
    page = opened("masked", script=False)
    expect(page.find(".still")).to_be_visible()
    expect(page.find(".panel")).to_be_hidden()
    assert page.find(".step:visible").count() == page.find(".step").count() > 60


def test_on_paper_one_story_stands_whole(opened: Open) -> None:
    page = opened("masked")
    page.tab.emulate_media(media="print")
    assert page.find(".story:visible").count() == 1
    assert page.find(".step:visible").count() == 19
    expect(page.find(".panel")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(opened: Open, scheme: str) -> None:
    """The contrast of text to page that WCAG 2 asks for, 4.5 to 1, at the current step."""
    page = opened("masked")
    page.tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.find('.story.current .row[data-step="10"]').click()
    worst = page.tab.evaluate(
        """() => {
          const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => v / 255)
              .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const ground = each => { for (; each; each = each.parentElement) {
            const found = getComputedStyle(each).backgroundColor;
            if (found !== 'rgba(0, 0, 0, 0)') return found; } return 'rgb(255, 255, 255)'; };
          const texts = document.querySelectorAll(
            '.step.current *, .row *, .heads *, .panel *, .tale, h1, .warning p');
          return Math.min(...[...texts]
            .filter(each => each.innerText && !each.children.length && each.ariaDisabled !== 'true')
            .map(each => { const [a, b] = [light(getComputedStyle(each).color), light(ground(each))];
              return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }));
        }"""
    )
    assert worst >= 4.5
