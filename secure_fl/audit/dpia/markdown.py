"""A document as Markdown (CommonMark, with the tables of GFM). All text is escaped, and stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from secure_fl.audit.dpia.law import Statement
from secure_fl.audit.dpia.tree import Blank, Block, Document, Listing, Section, Table, Text

_MEANING = re.compile(r"[\\`*\[\]<>&|~#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=[A-Za-z])(?=://)|(?<=[wW]{3})(?=\.)")
_AT_START = re.compile(r"^([-+=](?=[-+=\s]|$)|[0-9]+(?=[.)](?:\s|$)))")


def to_markdown(document: Document) -> str:
    """The whole document."""
    lines = [f"# {escaped(document.title)}", *_blocks(document.lead)]
    for section in document.sections:
        lines += _section(section, "##")
    return "\n\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that means nothing but itself, in a paragraph, in a heading and in a cell of a table."""
    return _AT_START.sub(_at_start, _MEANING.sub(lambda found: "\\" + found[0], text))


def _at_start(found: re.Match[str]) -> str:
    """What would begin a list: a number is left as it is, and what follows it is escaped."""
    return found[0] + "\\" if found[0].isdigit() else "\\" + found[0]


def _section(section: Section, level: str) -> Iterator[str]:
    yield f"{level} {escaped(section.number)} {escaped(section.title)}"
    yield from _blocks(section.blocks)
    for inner in section.sections:
        yield from _section(inner, level + "#")


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Text(text):
                yield escaped(text)
            case Listing(entries):
                yield "\n".join(f"- {escaped(entry)}" for entry in entries)
            case Table(_, head, rows):
                yield "\n".join([_row(head), _row(("---",) * len(head), raw=True), *map(_row, rows)])
            case Blank(question, number):
                yield f"**\\[BLANK {number}: {escaped(question)}\\]**"
            case Statement():
                yield f"> {escaped(block.says)}\n>\n> *{escaped(block.source)}*"


def _row(cells: tuple[str, ...], *, raw: bool = False) -> str:
    return f"| {' | '.join(cell if raw else escaped(cell) for cell in cells)} |"
