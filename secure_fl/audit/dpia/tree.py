"""What a document is made of, whether it is written as Markdown or as a page.

All text is plain: who writes it escapes it. Text from outside passes through `shown`, so that it stays on its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from secure_fl.audit.dpia.law import Statement
from secure_fl.progress import visible


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Listing:
    """Entries of equal standing; there is at least one."""

    entries: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head."""

    label: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Blank:
    """What only a person can decide."""

    question: str
    number: int = 0
    """In the order of the document; 0 until it has one."""


Block: TypeAlias = Text | Listing | Table | Blank | Statement


@dataclass(frozen=True)
class Part:
    """A piece of content under its title; where it stands is up to a layout."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """A part in its place."""

    number: str
    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """A title, what stands before the sections, and these."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]

    def walk(self) -> Iterator[Section]:
        """All sections, in their order."""
        for section in self.sections:
            yield section
            yield from section.sections

    def blanks(self) -> Iterator[tuple[Section, Blank]]:
        """All blanks, each with the section in which it stands."""
        for section in self.walk():
            yield from ((section, block) for block in section.blocks if isinstance(block, Blank))


def shown(name: str) -> str:
    """A name from outside on one line, without characters that are not seen or that turn the direction of text."""
    return visible(" ".join(name.split())) or "(no name)"
