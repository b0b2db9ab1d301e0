"""The page of patterns to review: whole, self-contained, and harmless whatever a model wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from secure_fl.chain.signing import fingerprint
from secure_fl.data.synthetic.fidelity import Fidelity, Score
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import Number, Proposal, Provenance
from secure_fl.data.synthetic.review import submit
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.report.review_page import render_review

REAL = RealRows.simulated()
HOSTILE = Proposal(
    pattern=library()[1].pattern.model_copy(
        update={
            "name": "A & B \"quoted\" 'name' {{ 7*7 }}",
            "description": "&lt;script&gt;alert(1) onload='x' \"} {% raw %}.",
        }
    ),
    provenance=Provenance(source="language model", model="m&m\"'{{ 6*6 }}", prompt_digest="0" * 64),
)
SCORES = Fidelity(Score(0.61, 0.01), Score(0.22, 0.01), Score(0.31, 0.02), Score(0.63, 0.01), 16, 150)


class Outline(HTMLParser):
    """Tags, ids, texts, attributes that load or run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "srcset", "data"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatternStore:
    home = tmp_path_factory.mktemp("review")
    store = PatternStore(home / "patterns", ReviewerFiles.in_folder(home / "own"))
    gift_cards = library()[5]
    far = gift_cards.pattern.model_copy(update={"countries": ("BE", "TH")})
    once = library()[9].pattern.model_copy(update={"payments": Number(low=1, high=1)})  # no gaps to draw
    proposals = [
        library()[0],
        Proposal(pattern=far, provenance=gift_cards.provenance),
        HOSTILE,
        Proposal(pattern=once, provenance=gift_cards.provenance),
    ]
    submit(store, [*proposals, *library()[2:4]], REAL, np.random.default_rng(0))
    store.approve(library()[2].digest, "A & B <i>", "plausible")
    PatternStore(store.folder, ReviewerFiles.in_folder(home / "other")).approve(library()[3].digest, "C", "plausible")
    return store


@pytest.fixture(scope="module")
def page(store: PatternStore) -> str:
    return render_review(store.read(), REAL.training, SCORES, "simulated transactions")


def test_the_page_is_whole_and_loads_nothing(store: PatternStore, page: str) -> None:
    outline = Outline(page)
    assert outline.tags.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert outline.handlers == []
    assert len(outline.ids) == len(set(outline.ids))
    assert all(target.startswith("#") and target[1:] in outline.ids for target in outline.loads)
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", page))
    assert "@import" not in page
    assert page.count("<svg") == 2 * len(store.read().waiting())
    assert "mathdefault" not in page  # how matplotlib writes a tick that nobody worded
    for score in ("0.610", "0.220", "0.310", "0.630"):
        assert score in outline.text


def test_what_a_model_wrote_is_text(page: str) -> None:
    outline = Outline(page)
    assert HOSTILE.pattern.name in outline.text
    assert HOSTILE.pattern.description in outline.text
    assert "language model m&m\"'{{ 6*6 }}" in outline.text


def test_every_pending_pattern_can_be_decided_from_the_page_and_rejected_ones_are_named(
    store: PatternStore, page: str
) -> None:
    holdings = store.read()
    for kept in holdings.waiting():
        assert f"secure-fl review approve {kept.digest[:12]}" in page
    rejected = holdings.in_state("rejected by validation")
    assert rejected
    for kept in rejected:
        assert f"review approve {kept.digest[:12]}" not in page
        assert kept.digest[:12] in page
    assert "apart by air" in page
    assert holdings.head in page


def test_the_log_is_on_the_page_with_its_signers_and_hashes(store: PatternStore, page: str) -> None:
    outline = Outline(page)
    holdings = store.read()
    public = store.own.signer("A & B <i>").public
    assert f"A & B <i>, key {fingerprint(public)}" in outline.text
    assert "C, key " in outline.text
    assert outline.text.count("NOT TRUSTED") == 2  # in the log, and where it waits for a decision
    assert outline.text.count("validation, unsigned") == 6
    for entry in holdings.entries:
        assert entry.hash[:12] in outline.text
    assert "Approved so far1" in outline.text.replace("\n", "")


@pytest.mark.slow
def test_the_same_store_gives_the_same_page(store: PatternStore, page: str) -> None:
    assert render_review(store.read(), REAL.training, SCORES, "simulated transactions") == page


def test_an_empty_store_and_patterns_without_room_have_a_page(store: PatternStore, tmp_path: Path) -> None:
    empty = PatternStore(tmp_path, ReviewerFiles.in_folder(tmp_path / "own"))
    assert "0 fraud patterns to review" in render_review(empty.read(), REAL.training)
    page = render_review(store.read(), REAL.training.take(slice(0, 5)))
    assert "No rows: " in page
    assert "<svg" not in page


@pytest.mark.slow
@pytest.mark.parametrize(("with_them", "says"), [(0.5, "they hurt"), (0.615, "change little"), (0.7, "they help")])
def test_the_page_says_when_synthetic_rows_hurt(store: PatternStore, with_them: float, says: str) -> None:
    scores = replace(SCORES, both_on_real=Score(with_them, 0.01))
    assert scores.gain == pytest.approx(with_them - 0.61)
    page = " ".join(render_review(store.read(), REAL.training, scores).split())
    assert f"{with_them:.3f} with them, 0.610 without" in page
    assert page.count(says) == 2
    assert ("Synthetic rows hurt here." in page) == (says == "they hurt")


def test_contents_are_the_sections_in_their_order(page: str) -> None:
    """Also where a pattern's name is hostile."""
    contents = page.partition('<nav class="contents"')[2].partition("</nav>")[0]
    listed = re.findall(r'<a href="#([^"]*)">(.*?)</a>', contents)
    titles = re.findall(r'<h2 id="([^"]*)-title"><span [^>]*>(\d+)</span> (.*?)</h2>', page)
    assert titles == [(name, str(place), title) for place, (name, title) in enumerate(listed, start=1)]
    assert [name for name, _ in listed][:: len(listed) - 1] == ["fidelity", "log"]
