"""Parts of a document that a command writes: between `<!-- NAME -->` and `<!-- end -->`, each on a line of its own.

Nobody writes them by hand: a test compares them with what the command makes of the figures that it stored.
"""

from __future__ import annotations

import re
from pathlib import Path


def write_block(path: Path, name: str, text: str) -> None:
    """Put `text` in the place of the block. Raises `ValueError` where the document has none of this name, or two."""
    document = path.read_text(encoding="utf-8")
    start, end = _place(path, document, name)
    path.write_text(f"{document[:start]}{text.rstrip()}\n{document[end:]}", encoding="utf-8")


def read_block(path: Path, name: str) -> str:
    """The text of a block. Raises `ValueError` as `write_block` does."""
    document = path.read_text(encoding="utf-8")
    start, end = _place(path, document, name)
    return document[start:end].rstrip()


def read_blocks(path: Path) -> dict[str, str]:
    """The texts of all blocks by their names. Raises `ValueError` where a name comes twice, or a block does not end."""
    names = re.findall(r"^<!-- (.+) -->$", path.read_text(encoding="utf-8"), re.MULTILINE)
    begun, ended = names[::2], names[1::2]
    if ended != ["end"] * len(begun):
        raise ValueError(f"{path.name} has a block that does not end, or an end without a block")
    return {name: read_block(path, name) for name in begun}


def _place(path: Path, document: str, name: str) -> tuple[int, int]:
    block = rf"^<!-- {re.escape(name)} -->\n((?:(?!<!-- ).*\n)*)<!-- end -->$"
    found = list(re.finditer(block, document, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{path.name} has {len(found)} blocks {name!r}; it must have one")
    return found[0].span(1)
