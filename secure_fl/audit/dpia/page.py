"""A draft as one self-contained page, in the frame of all pages of the house."""

from __future__ import annotations

from collections.abc import Callable

from secure_fl.audit.dpia.law import Statement
from secure_fl.audit.dpia.tree import Blank, Block, Document, Listing, Section, Table, Text
from secure_fl.report import frame

_PACKAGE = "secure_fl.audit.dpia"
_KINDS: dict[type, str] = {Text: "text", Listing: "listing", Table: "table", Blank: "blank", Statement: "law"}


def render(document: Document) -> str:
    """The page. The same document gives the same text."""
    contents = {_anchor(section): section.title for section in document.sections}
    values = {"document": document}
    filters: dict[str, Callable[..., str]] = {"kind": _kind, "anchor": _anchor, "columns": _columns}
    return frame.fill("dpia.html.j2", contents, values, filters, _PACKAGE)


def _kind(block: Block) -> str:
    return _KINDS[type(block)]


def _anchor(section: Section) -> str:
    return "section-" + "".join(c if c.isalnum() else "-" for c in section.number)


def _columns(table: Table) -> str:
    """How wide a table's cells are: two columns as pairs, more as words."""
    return "pair" if len(table.head) == 2 else "words"
