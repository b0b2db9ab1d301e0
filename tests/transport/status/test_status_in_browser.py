"""The status page in a real browser: it fits, keeps itself new, says when it does not, and runs nothing but its own."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from secure_fl.transport.state import StateStore
from secure_fl.transport.status import watching
from secure_fl.transport.status.local import HOST
from secure_fl.transport.status.page import render
from tests.browser import WIDTHS, needs_browser, running
from tests.report.measuring import Measuring, in_order
from tests.transport.federation import federation
from tests.transport.status import made_up
from tests.transport.status.made_up import ALL, NOW
from tests.transport.status.served import Shown, client, events, local

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running(HOST) as started:
        yield started


@contextmanager
def opened(browser: Browser, port: int, script: bool = True) -> Iterator[Page]:
    """The page; at the end nothing went wrong in it, and nothing was asked for from elsewhere."""
    context = browser.new_context(java_script_enabled=script)
    tab = context.new_page()
    troubles: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: troubles.append(message.text))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"http://{HOST}:{port}/status")
    yield tab
    context.close()
    # no connection is what some tests make
    assert [said for said in troubles if "ERR_CONNECTION_REFUSED" not in said and "ERR_INCOMPLETE" not in said] == []
    assert set(asked) <= {f"http://{HOST}:{port}/status", f"http://{HOST}:{port}/status/events"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_the_page_fits_and_loads_nothing(browser: Browser, tmp_path: Path, name: str, width: int) -> None:
    snapshot = re.sub(r"<script>.*?</script>", "", render(ALL[name](), NOW), flags=re.DOTALL)
    in_order(Measuring(browser, tmp_path).measure(snapshot, width), width)


def test_without_scripts_it_is_a_snapshot_in_its_own_style(browser: Browser) -> None:
    with local(Shown(made_up.status(), NOW)) as port, opened(browser, port, script=False) as tab:
        expect(tab.locator("h1")).to_have_text("Round 7 of 12")
        expect(tab.locator("#pulse")).to_contain_text("as of ")
        expect(tab.locator(".absent .age").first).to_have_text("1 min 35 s")
        assert tab.locator("main").evaluate("element => getComputedStyle(element).maxWidth") == "1060px"


def test_it_keeps_itself_new_and_leaves_alone_what_is_as_before(browser: Browser) -> None:
    shown = Shown(made_up.status(), NOW)
    with local(shown) as port, opened(browser, port) as tab:
        expect(tab.locator("#pulse")).to_have_text("live")
        expect(tab.locator("#pulse")).to_have_class("live")
        tab.evaluate("window.row = document.querySelector('.parties tbody tr')")
        shown.told = replace(
            made_up.status(round=8), parties=(made_up.party("bank-1", "late", "no sign of it", since=11),)
        )
        expect(tab.locator("h1")).to_have_text("Round 8 of 12")
        expect(tab).to_have_title("Round 8 of 12 - secure_fl gateway")
        expect(tab.locator(".parties tbody tr")).to_have_count(1)
        expect(tab.locator(".parties tbody tr")).to_have_class("late")
        assert tab.evaluate("window.row === document.querySelector('.parties tbody tr')")


def test_ages_go_on_between_events_as_the_gateway_words_them(browser: Browser) -> None:
    with local(Shown(made_up.status(), NOW)) as port, opened(browser, port) as tab:
        expect(tab.locator("#pulse")).to_have_text("live")
        expect(tab.locator(".absent .age").first).to_have_text("1 min 36 s")
        expect(tab.locator(".absent .age").first).to_have_text("1 min 38 s")
        expect(tab.locator(".figures .age").first).to_have_text(re.compile(r"^16 min 4\d s$"))


def test_it_says_that_the_gateway_has_ended_and_finds_it_again(browser: Browser) -> None:
    shown = Shown(made_up.status(), NOW)
    with local(shown) as port, opened(browser, port) as tab:
        expect(tab.locator("#pulse")).to_have_text("live")
        shown.told = made_up.given_up()
        expect(tab.locator("h1")).to_have_text("The federation has given up")
        expect(tab.locator(".warning")).to_contain_text("only 2 of 5 banks")
        expect(tab.locator("#pulse")).to_have_text(re.compile("^the gateway has ended, as of .* UTC$"))
        shown.told = made_up.restarted()
        expect(tab.locator("h1")).to_have_text("Round 7 of 12", timeout=10_000)
        expect(tab.locator("#pulse")).to_have_text("live")
        expect(tab.locator(".warning")).to_have_count(0)


def test_it_says_that_there_is_no_connection(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STREAMS", 1)
    with local(Shown(made_up.status(), NOW)) as port, client(port) as other:
        with other.stream("GET", "/status/events"):
            context = browser.new_context()
            tab = context.new_page()
            tab.goto(f"http://{HOST}:{port}/status")
            expect(tab.locator("#pulse")).to_have_text(re.compile("^no connection, as of .* UTC$"))
        expect(tab.locator("#pulse")).to_have_text("live", timeout=10_000)
        context.close()


def test_whatever_people_name_is_shown_and_never_run(browser: Browser) -> None:
    shown = Shown(made_up.status(), NOW)
    with local(shown) as port, opened(browser, port) as tab:
        expect(tab.locator("#pulse")).to_have_text("live")
        shown.told = made_up.hostile()
        expect(tab.locator(".parties th[scope=row]").first).to_contain_text("<script>alert(1)</script><img src=x")
        assert tab.locator("main img, #live script, #live b").count() == 0


def test_the_page_s_policy_stops_what_would_get_into_it(browser: Browser) -> None:
    with local(Shown(made_up.status(), NOW)) as port:
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(f"http://{HOST}:{port}/status")
        stopped = tab.evaluate(
            """async () => {
                const seen = [];
                document.addEventListener('securitypolicyviolation', event => seen.push(event.effectiveDirective));
                const picture = '<img src="/x" onerror="window.ran = 1">';
                document.querySelector('main').insertAdjacentHTML('beforeend', picture);
                const script = document.createElement('script');
                script.textContent = 'window.ran = 1';
                document.head.append(script);
                await new Promise(done => setTimeout(done, 300));
                return [window.ran === undefined, seen.sort()];
            }"""
        )
        context.close()
    assert stopped == [True, ["img-src", "script-src-attr", "script-src-elem"]]


def test_a_real_federation_from_its_beginning_to_its_end(browser: Browser, tmp_path: Path) -> None:
    """Its page follows it, and nothing of a model is ever in an event."""
    with federation(tmp_path, extra="status_port = 0\n", scheme="masked", rounds=10) as parties:
        port = int(parties.gateway_says(r'"status page", "url": "http://localhost:(\d+)/status"'))
        heard: list[str] = []
        with opened(browser, port) as tab, client(port) as reader, reader.stream("GET", "/status/events") as stream:
            expect(tab.locator("#pulse")).to_have_text("live")
            parties.wait_for_round(1)
            parties.pause("bank-2")
            expect(tab.locator("h1")).to_have_text(re.compile("^Round [1-9]"))
            expect(tab.locator(".verdict")).to_contain_text("waits for bank-2: ")
            parties.go_on("bank-2")
            heard += [said.get("html", "") for _, said in events(stream)]
            expect(tab.locator("#pulse")).to_contain_text("the gateway has ended")
            expect(tab.locator("h1")).to_have_text("All rounds are finished")
            expect(tab.locator(".verdict")).to_have_text("The gateway has ended. Known to 3 of 3 parties.")
            expect(tab.locator(".rounds tbody tr")).to_have_count(11)
            expect(tab.locator(".rounds tbody tr").first).to_contain_text("bank-1, bank-2, bank-3")
        parties.finish()
    state = StateStore(tmp_path / "state").load(parties.roster)
    assert state is not None
    assert state.round == 10
    text = "\n".join(heard)
    assert "<h1>Round " in text
    for value in np.concatenate([state.model.weights, state.standardization.mean])[:50]:
        assert str(float(value)) not in text
        assert np.float32(value).tobytes().hex() not in text
    assert base64.b64encode(state.model.weights.tobytes()).decode()[:16] not in text
