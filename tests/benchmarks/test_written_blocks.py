"""Parts of documents that commands write."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.written_blocks import read_block, read_blocks, write_block

PAGE = "# A page\n\n<!-- one -->\nold\n<!-- end -->\n\nwords, <!-- two --> in a line\n\n<!-- two -->\n<!-- end -->\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_a_block_is_replaced_and_nothing_else(page: Path) -> None:
    write_block(page, "two", "| a \\1 |\n| b |\n")
    assert page.read_text(encoding="utf-8") == PAGE.replace("<!-- two -->\n<", "<!-- two -->\n| a \\1 |\n| b |\n<")
    write_block(page, "one", "new")
    assert (read_block(page, "one"), read_block(page, "two")) == ("new", "| a \\1 |\n| b |")


def test_writing_what_is_there_changes_nothing(page: Path) -> None:
    write_block(page, "one", read_block(page, "one"))
    assert page.read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("no block\n", 0),
        (PAGE + PAGE, 2),
        ("<!-- one -->\nno end\n", 0),
        ("<!-- one -->\nno end\n<!-- two -->\n<!-- end -->\n", 0),
    ],
)
def test_a_document_has_each_block_once(page: Path, text: str, count: int) -> None:
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"has {count} blocks 'one'"):
        read_block(page, "one")
    with pytest.raises(ValueError, match=f"has {count} blocks 'one'"):
        write_block(page, "one", "x")
    assert page.read_text(encoding="utf-8") == text


def test_all_blocks_of_a_document(page: Path) -> None:
    assert read_blocks(page) == {"one": "old", "two": ""}


@pytest.mark.parametrize(
    "text", ["<!-- one -->\nno end\n", "<!-- end -->\n", "<!-- one -->\n<!-- two -->\n<!-- end -->\n"]
)
def test_a_block_without_an_end_is_noticed(page: Path, text: str) -> None:
    page.write_text(PAGE + text, encoding="utf-8")
    with pytest.raises(ValueError, match="does not end"):
        read_blocks(page)
