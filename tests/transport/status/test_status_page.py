"""The status page as text: what it says of each federation, what it escapes, and that it stays small."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape

import pytest

from secure_fl.transport.post import Asked
from secure_fl.transport.status.page import age_text, headline, policy, render, render_live, sentence
from secure_fl.transport.status.snapshot import Phase, Stage, Status, Trouble
from tests.transport.status import made_up
from tests.transport.status.made_up import ALL, HOSTILE, NOW

WAITS = "The gateway waits for bank-2, bank-4: "
SAYS = {
    "working": ("Round 7 of 12", f"{WAITS}the message of masked_input. 2 of 4 have answered."),
    "gathering": ("Waiting for bank-2, key-authority", "The federation begins as soon as all parties have come."),
    "over": ("All rounds are finished", "Known to 1 of 2 parties."),
    "given up": (
        "The federation has given up",
        "What is finished is kept: whoever starts the gateway again goes on after the last finished round.",
    ),
    "restarted": ("Round 7 of 12", f"{WAITS}word that training is done. 0 of 5 have answered."),
}


def words(page: str) -> str:
    return re.sub(
        r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2].partition("<script>")[0]))
    )


@pytest.mark.parametrize("name", SAYS)
def test_how_it_stands_is_said_in_a_line_and_a_sentence(name: str) -> None:
    status = ALL[name]()
    assert (headline(status), sentence(status)) == SAYS[name]
    assert headline(status) in words(render(status, NOW))
    assert sentence(status) in words(render(status, NOW))


def test_the_page_names_who_is_late_and_since_when() -> None:
    text = words(render(made_up.status(), NOW))
    assert "late: bank-2, bank-4; absent: bank-5" in text
    assert "bank-2 bank late for 9 s no sign of it" in text
    assert "bank-5 bank absent for 1 min 35 s" in text
    assert "rounds 5 to 6, last 1 min 30 s ago bank-5 was left out or refused: it is not there (2 times)" in text
    assert "round 7, 50 s ago The round failed: too few banks are there" in text
    assert "not in the roster 3, too slow 1" in text


def test_a_federation_that_is_over_is_not_at_work() -> None:
    page = render(made_up.over(), NOW)
    assert "12 of 12" in words(page)
    assert 'class="now"' not in page
    assert 'class="now"' in render(made_up.status(), NOW)


def test_the_error_of_a_federation_that_gave_up_stands_in_it() -> None:
    assert "only 2 of 5 banks contributed; wait for more banks" in words(render(made_up.given_up(), NOW))


def test_rounds_of_an_earlier_process_are_told_apart() -> None:
    text = words(render(made_up.restarted(), NOW))
    assert "started again after round 5" in text
    assert "Up to round 5 they were finished by an earlier process" in text
    assert "earlier process" not in words(render(made_up.status(), NOW))


def test_a_gateway_that_has_ended_says_so() -> None:
    assert headline(made_up.status(ended=True)) == "The gateway has ended"
    assert sentence(made_up.status(ended=True, phase=Phase.OVER)).startswith("The gateway has ended. Known to")


def test_a_round_that_failed_says_why_until_it_is_begun_anew() -> None:
    asked, why = Stage(Asked("ask", "upload", 7, 1, NOW - 5), 1, 1), "too few banks are there"
    quiet = (made_up.party("bank-1"),)
    failed = made_up.status(stage=asked, parties=quiet, troubles=(Trouble(7, 7, "", f"{why}; wait", NOW - 1),))
    assert sentence(failed) == f"It failed and is begun again: {why}."
    anew = made_up.status(stage=Stage(Asked("ask", "upload", 7, 4, NOW), 1, 1), parties=quiet, troubles=failed.troubles)
    assert sentence(anew) == "The gateway computes."


def test_whatever_people_or_parties_name_is_escaped() -> None:
    ordinary = render(made_up.status(), NOW)
    for text in (render(made_up.hostile(), NOW), render_live(made_up.hostile(), NOW)):
        assert HOSTILE in unescape(text)
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "<b>" not in text
    assert render(made_up.hostile(), NOW).count("<script") == ordinary.count("<script") == 1


def test_its_policy_allows_its_own_style_and_script_and_no_other() -> None:
    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    page, said = render(made_up.status(), NOW), policy()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"style-src 'sha256-{digest(style)}'" in said
    assert f"script-src 'sha256-{digest(script)}'" in said
    assert said.startswith("default-src 'none'; ")
    assert "unsafe" not in said
    assert "style=" not in page
    assert re.findall(r"https?://", page) == []


def test_many_parties_rounds_and_troubles_do_not_make_it_large() -> None:
    assert len(render(made_up.crowded(), NOW)) < 300_000
    text = words(render(made_up.crowded(), NOW))
    assert "And 350 before these." in text
    assert "And 70 before these." in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.9, "59 s"), (60, "1 min 0 s"), (3_599, "59 min 59 s"), (3_660, "1 h 1 min"), (90_000, "25 h 0 min")],
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def test_each_made_up_status_is_another() -> None:
    made: list[Status] = [make() for make in ALL.values()]
    assert all(one != other for place, one in enumerate(made) for other in made[:place])
