"""Drafts of three runs, word for word; and in which sections they differ, and nowhere else.

`python -m tests.audit.dpia.write_golden` writes the golden files anew. Look at what changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from secure_fl.audit.dpia import draft_of, read_facts, to_markdown
from secure_fl.audit.dpia.layouts import LAYOUTS, Layout
from secure_fl.report.record import software

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
_VERSIONS = re.compile(rf"^\| ({'|'.join(software())}) \| .* \|$", re.MULTILINE)
BY_SCHEME = {"1.1.d", "1.2", "1.3", "2.3.d", "2.3.e", "2.3.f", "4.1.a (1)", "4.1.a (3)", "A.1", "A.2", "A.3"}
"""Figures, flows, who reads what, measures, keys, access, disappearance, and what each bank sent."""
HIDING = {"0.5", "4.2.a"}
"""Innovative technology, and what could still be done: they depend on whether single updates are hidden."""
PARTIES = {"0.2"}
"""A key authority, which only ckks has of these."""
PRIVACY = {"2.2.b", "3.1", "3.2", "4.2.a"}
"""What else was trained with, what the model tells, and what could still be done."""
DIFFERENT = {
    ("plaintext", "ckks"): BY_SCHEME | HIDING | PARTIES,
    ("plaintext", "masked"): BY_SCHEME | HIDING | PRIVACY | {"4.1.a (2)"},
    ("ckks", "masked"): BY_SCHEME | PARTIES | PRIVACY | {"4.1.a (2)"},
}
"""Only under masked (of these) is an aggregator noticed that shows banks different models: 4.1.a (2)."""


def written(run: Path, layout: Layout = "edpb") -> str:
    """The draft without what changes from run to run: hashes, times, versions, lengths of compressed ciphertexts."""
    draft = draft_of(read_facts(run), layout)
    text = _VERSIONS.sub(r"| \1 | VERSION |", to_markdown(draft.document))
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", text)
    text = re.sub(r"\b[0-9-]{10}T[0-9:]{8}Z\b", "TIME", text)
    if draft.facts.scheme == "ckks":
        text = re.sub(r"\| [0-9.]+ (B|kB|MB) \|", "| BYTES |", text)
    return text


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Number and text of each section, and what stands before them as that of none."""
    parts = re.split(r"^#{2,3} (?=[0-9ABC])", text, flags=re.MULTILINE)
    yield "", parts[0]
    for part in parts[1:]:
        number = re.match(r"([0-9A-C.]+(?:[a-f]\b)?(?: \(\d\))?)", part)
        assert number is not None
        yield number[1], part


@pytest.mark.parametrize("name", ["plaintext", "ckks", "masked"])
def test_a_draft_is_word_for_word_what_it_was(run_folders: dict[str, Path], name: str) -> None:
    assert written(run_folders[name]) == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("pair", list(combinations(["plaintext", "ckks", "masked"], 2)), ids=" and ".join)
def test_drafts_differ_where_they_should_and_nowhere_else(run_folders: dict[str, Path], pair: tuple[str, str]) -> None:
    one, other = (dict(sections(written(run_folders[name]))) for name in pair)
    assert one.keys() == other.keys()
    assert len(one) > 50
    assert {number for number in one if one[number] != other[number]} == DIFFERENT[pair]


def test_both_layouts_have_the_same_content(run_folders: dict[str, Path]) -> None:
    found = []
    for layout in LAYOUTS:
        draft = draft_of(read_facts(run_folders["masked"]), layout)
        blocks = {s.title: [str(b).partition(", number=")[0] for b in s.blocks] for s in draft.document.walk()}
        chapters = {section.title for section in draft.document.sections}
        found.append({title: said for title, said in blocks.items() if title not in chapters} | {"n": len(blocks)})
    titles = {title for one in found for title in one}
    assert len(titles) > 40
    assert [t for t in titles - {"n"} if found[0].get(t) != found[1].get(t)] == []


def test_what_a_regulator_looks_for_first_is_there(run_folders: dict[str, Path]) -> None:
    plaintext, ckks, masked = (written(run_folders[name]) for name in ("plaintext", "ckks", "masked"))
    for text in (plaintext, ckks, masked):
        assert "It is no legal advice" in text.split("\n## ")[0]
        assert "no row of a real person was involved in this run" in text.split("\n## ")[0]
    assert "the aggregator reads it" in plaintext
    assert "the aggregator reads it" not in ckks + masked
    assert "key authority" not in plaintext + masked
    assert "epsilon 2.99" in masked
    assert "epsilon 2.99" not in plaintext + ckks
