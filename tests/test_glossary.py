"""docs/glossary.md: sorted, short, linked both ways, and about words that are used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "glossary.md"
HEAD, *ENTRIES = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
TERMS = {term.strip(): " ".join(text.split()) for term, _, text in (entry.partition("\n") for entry in ENTRIES)}
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def anchor(term: str) -> str:
    """As GitHub and MyST make it of a heading."""
    return re.sub(r"[^\w -]", "", term.lower()).replace(" ", "-")


def other_texts() -> str:
    """All pages but this one, and the package."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    sources = (ROOT / "secure_fl").rglob("*.py")
    texts = (path.read_text(encoding="utf-8") for path in (*pages, *sources) if path != PAGE)
    return " ".join(" ".join(texts).lower().split())


def test_entries_are_many_sorted_and_each_comes_once() -> None:
    assert len(ENTRIES) >= 50
    assert [entry.partition("\n")[0] for entry in ENTRIES] == sorted(TERMS, key=str.lower)
    assert len({anchor(term) for term in TERMS}) == len(ENTRIES)


@pytest.mark.parametrize("term", TERMS)
def test_an_entry_is_one_to_three_sentences_and_says_where(term: str) -> None:
    said, see, where = TERMS[term].rpartition("*See* ")
    assert see, "says where one meets it"
    sentences = re.split(r"(?<=\.) (?=[A-Z])", said.strip())
    assert 1 <= len(sentences) <= 3, sentences
    assert sentences[-1].endswith(".")
    assert len(said) < 420
    places = where.removesuffix(".").split(", ")
    assert all(LINK.fullmatch(place) or re.fullmatch(r"`[\w/]+(\.py|/)`", place) for place in places), places


@pytest.mark.parametrize("term", TERMS)
def test_links_and_modules_exist(term: str) -> None:
    anchors = {anchor(other) for other in TERMS}
    for words, target in LINK.findall(TERMS[term]):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (PAGE.parent / target).is_file(), target
            assert words == target.removeprefix("../")
    for module in re.findall(r"`([\w/]+(?:\.py|/))`", TERMS[term]):
        assert (ROOT / "secure_fl" / module).exists(), module


def test_the_list_at_the_top_links_each_entry_once() -> None:
    linked = LINK.findall(HEAD)
    assert sorted((words, target) for words, target in linked) == sorted((term, f"#{anchor(term)}") for term in TERMS)
    for line in re.findall(r"^- \*\*.*?(?=^- |\Z)", HEAD, re.MULTILINE | re.DOTALL):
        words = [word for word, _ in LINK.findall(line)]
        assert words == sorted(words, key=str.lower)


def test_what_other_pages_link_to_is_an_entry() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    linked = {
        target.partition("#")[2]: path.name
        for path in pages
        for _, target in LINK.findall(path.read_text(encoding="utf-8"))
        if "glossary.md#" in target
    }
    assert len(linked) >= 6
    assert {name: page for name, page in linked.items() if name not in {anchor(term) for term in TERMS}} == {}


def test_each_term_is_used_elsewhere() -> None:
    text = other_texts()
    assert [term for term in TERMS if not re.search(rf"\b{re.escape(term.lower())}", text)] == []


def test_a_term_that_nobody_uses_would_be_found() -> None:
    assert not re.search(r"\bbootstrapping key", other_texts())


@pytest.mark.parametrize(
    ("term", "made"),
    [("clip range", "clip-range"), ("IND-CPA-D", "ind-cpa-d"), ("plain_modulus", "plain_modulus"), ("a (b)", "a-b")],
)
def test_anchors(term: str, made: str) -> None:
    assert anchor(term) == made
