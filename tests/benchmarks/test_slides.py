"""docs/slides: what the command draws, from numbers that the package makes."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.slides import record, small_sum
from benchmarks.slides.__main__ import DRAWINGS, SLIDES
from benchmarks.slides.sheet import HEIGHT, SMALLEST, WIDTH
from secure_fl.secagg.budget.ckks import plan_ckks
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES
from secure_fl.secagg.hazmat.shamir import combine
from secure_fl.secagg.he.encoding import encode_slots

SVG = "{http://www.w3.org/2000/svg}"
ADVANCE = {"regular": 0.54, "bold": 0.62, "mono": 0.603}
"""Width of a letter over the size, in DejaVu Sans, which is wider than what most readers have."""


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return record.stored()


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_slide_is_what_the_command_draws(name: str, recorded: dict[str, Any]) -> None:
    assert (SLIDES / f"{name}.svg").read_text(encoding="utf-8") == DRAWINGS[name](recorded)


def test_there_are_no_other_slides() -> None:
    assert sorted(path.name for path in SLIDES.glob("*.svg")) == [f"{name}.svg" for name in DRAWINGS]


def test_the_page_shows_each_slide_in_order() -> None:
    page = (SLIDES / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^!\[.{20,}\]\((.*)\)$", page, re.MULTILINE) == [f"{name}.svg" for name in DRAWINGS]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_slide_can_be_read_from_the_back_and_nothing_leaves_it(name: str) -> None:
    root = ElementTree.parse(SLIDES / f"{name}.svg").getroot()
    assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    assert WIDTH * 9 == HEIGHT * 16
    texts = list(root.iter(f"{SVG}text"))
    assert len(texts) > 8
    for text in texts:
        words, size = text.text or "", int(text.get("font-size", "0"))
        kind = "mono" if text.get("font-family") else "bold" if text.get("font-weight") == "600" else "regular"
        width = len(words) * size * ADVANCE[kind]
        left = float(text.get("x", "")) - {"start": 0, "middle": width / 2, "end": width}[text.get("text-anchor", "")]
        assert size >= SMALLEST, words
        assert left >= 0, words
        assert left + width <= WIDTH, words
        assert size <= float(text.get("y", "")) <= HEIGHT - 12, words


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_slide_needs_nothing_but_itself(name: str) -> None:
    text = (SLIDES / f"{name}.svg").read_text(encoding="utf-8")
    assert re.findall(r"<style|class=|marker|href|url\(|<script|<image", text) == []
    assert re.findall(r"https?://\S+", text) == ['http://www.w3.org/2000/svg"']
    assert text.count("<title") == 1


def test_recorded_shares_open_the_key(recorded: dict[str, Any]) -> None:
    shares = {int(point): bytes.fromhex(share) for point, share in recorded["shares"].items()}
    assert len(shares) == small_sum.BANKS
    for points in combinations(shares, 2):
        assert combine({point: shares[point] for point in points}, 2) == small_sum.mask_key(2).secret()


def test_a_wrong_share_is_not_drawn(recorded: dict[str, Any]) -> None:
    share = recorded["shares"]["3"]
    wrong = {**recorded["shares"], "3": share[:-1] + ("0" if share[-1] != "0" else "1")}
    with pytest.raises(AssertionError):
        DRAWINGS["4-dropout"]({**recorded, "shares": wrong})


def test_the_recorded_slot_is_the_sum_of_what_banks_encoded(recorded: dict[str, Any]) -> None:
    plan, run = plan_ckks(small_sum.BANKS, record.MODEL, record.BITS, record.THRESHOLD), recorded["ckks"]
    update = np.zeros((small_sum.BANKS, record.MODEL), dtype=np.int64)
    for field in range(plan.fields_per_slot):
        update[:, field * plan.slots] = [numbers[field] for numbers in record.UPDATES]
    assert run["slots"] == [int(encode_slots(plan, row)[0, 0]) for row in update]
    assert 0 < abs(run["opened"] - sum(run["slots"])) < 0.5, "there is noise, and it rounds away"
    assert all(0 <= word < 1 << plan.prime_bits for words in run["words"] for word in words)
    assert run["bytes"] == [plan.upload_bytes - ENVELOPE_BYTES] * small_sum.BANKS


def test_a_wrong_slot_is_not_drawn(recorded: dict[str, Any]) -> None:
    run = {**recorded["ckks"], "opened": recorded["ckks"]["opened"] + 1}
    with pytest.raises(AssertionError):
        DRAWINGS["5-ckks"]({**recorded, "ckks": run})


def test_a_new_recording_gives_slides_of_other_keys(recorded: dict[str, Any]) -> None:
    fresh = record.record()
    assert fresh["shares"] != recorded["shares"]
    assert fresh["ckks"]["words"] != recorded["ckks"]["words"]
    assert DRAWINGS["5-ckks"](fresh) != DRAWINGS["5-ckks"](recorded)
    assert DRAWINGS["3-pairwise-masks"](fresh) == DRAWINGS["3-pairwise-masks"](recorded)


def test_masks_cancel_and_shares_add_up() -> None:
    banks = range(1, small_sum.BANKS + 1)
    for bank, other in combinations(banks, 2):
        one, two = small_sum.pairwise_mask(bank, other), small_sum.pairwise_mask(other, bank)
        assert (one + two) % small_sum.MODULUS == 0
        assert one != two
    assert sum(map(small_sum.masked, banks)) % small_sum.MODULUS == sum(small_sum.NUMBERS)
    for number, row in zip(small_sum.NUMBERS, small_sum.all_shares(), strict=True):
        assert sum(row) % small_sum.MODULUS == number
        assert number not in row


def test_the_slide_of_custody_has_each_statement_of_who_helps() -> None:
    text = (SLIDES / "7-who-reads-what.svg").read_text(encoding="utf-8")
    words = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", text))
    for said in (
        "every bank's update; every bank's number of examples; the sum of all updates",
        "share-holder-1 and share-holder-2: nothing",
        "the distance between any two updates, and how long each one is; the sum of the chosen updates",
    ):
        assert said in words, said
