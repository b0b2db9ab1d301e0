"""From facts to the draft: the joint part in the order of a layout, a section for each bank, notes, blanks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

from secure_fl.audit.dpia import by_bank, flows, keys, measures, risks
from secure_fl.audit.dpia.assessing import assessed
from secure_fl.audit.dpia.card import card_of
from secure_fl.audit.dpia.describing import AS_IF, described, rows_text
from secure_fl.audit.dpia.facts import Facts
from secure_fl.audit.dpia.later import AUDIT
from secure_fl.audit.dpia.law import law, statements
from secure_fl.audit.dpia.layouts import ORDERS, Layout
from secure_fl.audit.dpia.notes import notes
from secure_fl.audit.dpia.tree import Blank, Block, Document, Part, Section, Table, Text
from secure_fl.report.record import RECORD

SCHEMA = 1
NO_ADVICE = (
    "This is a draft, written by a program from the files of one run. It is no legal advice, and no assessment before "
    "people have completed and approved it."
)
_READING = (
    "What only a person can decide is marked as a numbered blank, and all blanks stand in a list at the end. A "
    "measure of "
    'which nothing in the run\'s files tells is called "not measured in this run". Statements on the law name their '
    "source "
    "and the date of the text that they rely on; they are summaries, and the texts prevail."
)


@dataclass(frozen=True)
class Draft:
    """A draft and what goes with it."""

    facts: Facts
    layout: Layout
    document: Document
    card: Document

    def figures(self) -> dict[str, Any]:
        """What the draft says, for programs."""
        facts = self.facts
        return {
            "schema": SCHEMA,
            "layout": self.layout,
            "made_from": {**_hashes(facts), "head": facts.record.head, "key": facts.record.key},
            "scheme": facts.scheme,
            "banks": list(facts.banks),
            "flows": [asdict(flow) for flow in flows.joint_flows(facts)],
            "keys": [asdict(key) for key in keys.keys(facts)],
            "measures": [asdict(measure) for measure in measures.measures(facts)],
            "risks": [asdict(risk) for risk in risks.risks(facts)],
            "blanks": [
                {"number": blank.number, "section": section.number, "question": blank.question}
                for section, blank in self.document.blanks()
            ],
            "law": {name: {**asdict(said), "text_of": str(said.text_of)} for name, said in statements().items()},
        }


def draft_of(facts: Facts, layout: Layout = "edpb") -> Draft:
    """The draft in one layout."""
    parts = {**described(facts), **assessed(facts)}
    chapters = [
        Section(
            chapter.number,
            chapter.title,
            sections=tuple(_placed(number, parts[name]) for number, name in chapter.parts.items()),
        )
        for chapter in ORDERS[layout].chapters
    ]
    banks = tuple(_placed(f"A.{n}", by_bank.section_of(facts, bank)) for n, bank in enumerate(facts.banks, 1))
    chapters += [Section("A", "Bank by bank", (by_bank.TOLD,), banks), notes(facts)]
    document = _numbered(
        Document("Draft of a data protection impact assessment", _lead(facts, layout), tuple(chapters))
    )
    return Draft(facts, layout, replace(document, sections=(*document.sections, _blanks(document))), card_of(facts))


def _placed(number: str, part: Part) -> Section:
    return Section(number, part.title, part.blocks)


def _lead(facts: Facts, layout: Layout) -> tuple[Block, ...]:
    made = [("Head of the record", facts.record.head), ("Signed by the key", facts.record.key)]
    made += [
        ("Record written", str(facts.opening["written"])),
        ("secure_fl", str(facts.opening["software"]["secure_fl"])),
    ]
    made += [(f"SHA-256 of {name}", digest) for name, digest in _hashes(facts).items()]
    later = [name for name in _hashes(facts) if name not in facts.files]
    unsigned = f" {', '.join(later)}: made later, and in no record." if later else ""
    return (
        Text(NO_ADVICE),
        Text(rows_text(facts) if facts.own_rows else f"{rows_text(facts)} {AS_IF}"),
        Text(_READING),
        law(ORDERS[layout].after),
        Text(ORDERS[layout].added),
        Table("What it was written from", ("What", "Value"), tuple(made)),
        Text(f"{RECORD} was verified before, and each file that it names was unchanged.{unsigned}"),
    )


def _hashes(facts: Facts) -> Mapping[str, str]:
    """SHA-256 of each file that anything was taken from, but for the record."""
    audit = {} if facts.audit is None else {AUDIT: facts.audit.sha256}
    return {**facts.files, **audit, **{attack.file: attack.sha256 for attack in facts.attacks}}


def _numbered(document: Document) -> Document:
    """The same with its blanks numbered in their order."""
    numbers = count(1)

    def numbered(section: Section) -> Section:
        blocks = tuple(replace(b, number=next(numbers)) if isinstance(b, Blank) else b for b in section.blocks)
        return replace(section, blocks=blocks, sections=tuple(numbered(inner) for inner in section.sections))

    return replace(document, sections=tuple(numbered(section) for section in document.sections))


def _blanks(document: Document) -> Section:
    rows = tuple((str(blank.number), section.number, blank.question) for section, blank in document.blanks())
    return Section("C", "What only a person can decide", (Table("Blanks", ("Blank", "Section", "Question"), rows),))
