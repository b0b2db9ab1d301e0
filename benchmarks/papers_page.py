"""docs/papers: the protocol of each paper, line by line, beside the lines of code that follow it.

    .venv/bin/python -m benchmarks.papers_page

An author writes what the paper says and, below it, a block whose name is a quote (see `benchmarks.code_quotes`); this
command writes the code into it. A block `covers FILE FILE ...` says of which files every line of every function must
stand somewhere on the page. So a line that was changed, added or removed shows: the tests ask `problems`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.code_quotes import Line, Quote, Read, functions, read_source
from benchmarks.written_blocks import read_blocks, write_block

PAPERS = Path(__file__).parents[1] / "docs" / "papers"
COVERS = "covers "


def pages() -> list[Path]:
    """Those that quote code."""
    return sorted(path for path in PAPERS.glob("*.md") if path.name != "index.md")


def covered_files(blocks: dict[str, str]) -> list[str]:
    return [path for name in blocks if name.startswith(COVERS) for path in name.removeprefix(COVERS).split()]


def quotes(blocks: dict[str, str]) -> list[Quote]:
    return [Quote.parse(name) for name in blocks if not name.startswith(COVERS)]


def problems(blocks: dict[str, str], read: Read = read_source) -> list[str]:
    """What a page says that the source does not say, and what it leaves out."""
    found = []
    for name, written in blocks.items():
        try:
            if written != rendered(name, read):
                found.append(f"{name}: the page says something else than the source")
        except ValueError as error:
            found.append(f"{name}: {error}")
    return found or list(_left_out(blocks, read))


def _left_out(blocks: dict[str, str], read: Read) -> Iterator[str]:
    for path in covered_files(blocks):
        quoted: set[Line] = {line for quote in quotes(blocks) if quote.path == path for line in quote.lines(read)}
        code = read(path).splitlines()
        for name, lines in functions(read(path)).items():
            for line in lines:
                if line not in quoted:
                    yield f"{path} {name}: no row has {code[line[0] - 1].strip()!r}"


def rendered(name: str, read: Read) -> str:
    if name.startswith(COVERS):
        return covered_table(name.removeprefix(COVERS).split(), read)
    quote = Quote.parse(name)
    return f"`secure_fl/{quote.path}`, `{quote.function}`:\n\n```python\n{quote.code(read)}\n```"


def covered_table(paths: list[str], read: Read) -> str:
    rows = ["| every line of each function of | functions | lines |", "|---|---|---|"]
    for path in paths:
        lines = functions(read(path)).values()
        rows.append(f"| `secure_fl/{path}` | {len(lines)} | {sum(map(len, lines))} |")
    return "\n".join(rows)


def main() -> None:
    """Write the code into all pages, and say what they leave out."""
    for path in pages():
        for name in read_blocks(path):
            with suppress(ValueError):  # it is among the problems
                write_block(path, name, rendered(name, read_source))
        for problem in problems(read_blocks(path)):
            print(f"{path.name}: {problem}")


if __name__ == "__main__":
    main()
