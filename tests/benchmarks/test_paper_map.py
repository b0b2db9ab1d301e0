"""docs/papers: what the pages quote is what the source says, and nothing of the protocols is left out."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.code_quotes import Quote, Read, functions, read_source
from benchmarks.papers_page import PAPERS, covered_files, covered_table, pages, problems, quotes, rendered
from benchmarks.written_blocks import read_blocks

COVERED = {
    "masked": ["secagg/masked/client.py", "secagg/masked/server.py", "secagg/masked/unmasking.py"],
    "additive": [
        "secagg/additive/client.py",
        "secagg/additive/server.py",
        "secagg/additive/holder.py",
        "secagg/additive/opening.py",
        "secagg/quorums.py",
    ],
    "homomorphic": [
        "secagg/he/client.py",
        "secagg/he/server.py",
        "secagg/he/authority.py",
        "secagg/he/encoding.py",
        "secagg/he/words.py",
    ],
    "rlwe": ["secagg/rlwe/encryption.py", "secagg/rlwe/opening.py", "secagg/rlwe/ring.py", "secagg/rlwe/sampling.py"],
    "krum": ["robust/krum.py", "secagg/krum/server.py", "secagg/krum/authority.py", "secagg/krum/distances.py"],
}
FILES = [(page, path) for page, paths in COVERED.items() for path in paths]
Change = Callable[[list[str], int, int], None]
"""What is done to the lines of a source at a logical line, from its first to its last physical line, from 0."""
NAME = re.compile(rf"\b(?!(?:{'|'.join(keyword.kwlist)})\b)([A-Za-z_]\w*)")


def blocks_of(page: str) -> dict[str, str]:
    return read_blocks(PAPERS / f"{page}.md")


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_a_page_quotes_what_the_source_says_and_leaves_nothing_out(path: Path) -> None:
    assert problems(read_blocks(path)) == []


def test_pages_cover_the_protocols() -> None:
    assert {path.stem: covered_files(read_blocks(path)) for path in pages()} == COVERED


def renamed(lines: list[str], first: int, last: int) -> None:
    lines[first] = NAME.sub(r"\1_", lines[first], count=1)


def removed(lines: list[str], first: int, last: int) -> None:
    del lines[first : last + 1]


def added(lines: list[str], first: int, last: int) -> None:
    lines.insert(first, re.sub(r"\S.*", "audit()", lines[first]))


def commented(lines: list[str], first: int, last: int) -> None:
    lines[last] += "  # why"


def changed(path: str, change: Change) -> Iterator[tuple[str, str]]:
    """The source with one logical line changed, for each that a page must have; only what Python can still read."""
    text = read_source(path)
    for lines in functions(text).values():
        for first, last in lines:
            altered = text.splitlines()
            change(altered, first - 1, last - 1)
            source = "\n".join(altered) + "\n"
            try:
                ast.parse(source)
            except SyntaxError:
                continue
            yield text.splitlines()[first - 1].strip(), source


def instead(path: str, source: str) -> Read:
    """The sources, with another text in the place of one."""
    return lambda name: source if name == path else read_source(name)


def unnoticed(page: str, path: str, change: Change) -> tuple[int, list[str]]:
    """How many changes were made to a file, and the lines at which the page says nothing of it."""
    blocks, count, missed = blocks_of(page), 0, []
    about = {name: text for name, text in blocks.items() if path in name}
    for line, source in changed(path, change):
        count += 1
        if not problems(about, instead(path, source)):
            missed.append(line)
    return count, missed


@pytest.mark.slow
@pytest.mark.parametrize("change", [renamed, removed, added])
@pytest.mark.parametrize(("page", "path"), FILES)
def test_any_line_that_is_changed_removed_or_added_is_noticed(page: str, path: str, change: Change) -> None:
    count, missed = unnoticed(page, path, change)
    assert missed == []
    assert count > sum(map(len, functions(read_source(path)).values())) / 3, "many changes can be tried"


@pytest.mark.parametrize(
    ("page", "path", "before", "after"),
    [
        ("masked", "secagg/masked/client.py", "if self._me < other else", "if self._me > other else"),
        ("masked", "secagg/masked/client.py", "pair[1 if other in arrived else 0]", "pair[0]"),
        ("masked", "secagg/masked/unmasking.py", "if other < bank else", "if other > bank else"),
        ("masked", "secagg/masked/wire.py", 'b"secure_fl pairwise mask" + cohort.digest', 'b"secure_fl pairwise mask"'),
        ("additive", "secagg/additive/client.py", "subtract_mask(share, seed)", "pass"),
        ("homomorphic", "secagg/he/encoding.py", "np.rint(slots[: plan.slots])", "slots[: plan.slots]"),
        ("homomorphic", "secagg/he/words.py", "by_prime // modulus * modulus", "0"),
        ("rlwe", "secagg/rlwe/encryption.py", "_with_errors(used)", "reduced(used)"),
        ("rlwe", "secagg/rlwe/ring.py", "over *= EXCESS", "over *= 1"),
        ("rlwe", "secagg/rlwe/sampling.py", "fresh < _BELOW", "fresh < 256"),
        ("krum", "secagg/krum/authority.py", "numbers != made.chosen", "False"),
        ("krum", "robust/krum.py", "closest: int", "closest: int = 1"),
    ],
)
def test_a_protocol_that_was_weakened_is_noticed(page: str, path: str, before: str, after: str) -> None:
    weak = read_source(path).replace(before, after, 1)
    assert weak != read_source(path)
    found = problems(blocks_of(page), instead(path, weak))
    assert len(found) >= 1
    assert all(path in problem for problem in found)


def test_a_new_function_is_noticed() -> None:
    path = "secagg/masked/server.py"
    longer = read_source(path) + "\n\ndef peek(total: int) -> int:\n    return total\n"
    found = problems(blocks_of("masked"), instead(path, longer))
    assert found == [f"covers {' '.join(COVERED['masked'])}: the page says something else than the source"]
    written = {name: text for name, text in blocks_of("masked").items() if not name.startswith("covers")}
    written[f"covers {path}"] = covered_table([path], instead(path, longer))
    found = problems(written, instead(path, longer))
    assert found == [f"{path} peek: no row has {line!r}" for line in ("def peek(total: int) -> int:", "return total")]


def test_a_comment_within_a_quote_is_quoted_and_one_that_changes_is_noticed() -> None:
    count, missed = unnoticed("additive", "secagg/additive/holder.py", commented)
    assert count > 0
    assert missed == []


CITED = re.compile(r"\b(?:figure|section|sections|table|theorem) [\d.]*\d")


@pytest.mark.parametrize("page", sorted(COVERED))
def test_what_docstrings_cite_stands_on_the_page(page: str) -> None:
    text = " ".join((PAPERS / f"{page}.md").read_text(encoding="utf-8").split()).lower()
    quoted = {quote.path for quote in quotes(blocks_of(page))}
    packages = {str(Path(path).parent / "__init__.py") for path in quoted if "hazmat" not in path}
    sources = [" ".join(read_source(path).split()) for path in sorted(quoted | packages)]
    cited = {found.lower() for source in sources for found in CITED.findall(source)}
    authors = {name for source in sources for name in re.findall(r"\b([A-Z][a-z]{4,}) et al\.", source)}
    assert [found for found in sorted(cited | {name.lower() for name in authors}) if found not in text] == []
    assert page not in ("masked", "krum") or cited, "these cite figure 4 and section 4"


@pytest.mark.parametrize(
    ("written", "quote"),
    [
        ("a.py f", Quote("a.py", "f")),
        ("a.py f: x = 1", Quote("a.py", "f", "x = 1", None)),
        ("a.py C.f: x = ... return", Quote("a.py", "C.f", "x =", "return")),
        ("a.py f: ... return", Quote("a.py", "f", "", "return")),
        ("a.py f: x = ...", Quote("a.py", "f", "x =", "")),
        ("a.py f: if x: ... y: int", Quote("a.py", "f", "if x:", "y: int")),
    ],
)
def test_how_a_quote_is_written(written: str, quote: Quote) -> None:
    assert Quote.parse(written) == quote


@pytest.mark.parametrize("written", ["a.py", "a.py f:", "a.py  f", "a.py f g: x"])
def test_what_is_no_quote(written: str) -> None:
    with pytest.raises(ValueError, match="is no quote"):
        Quote.parse(written)


TEXT = '''def f(x: int) -> int:
    """Says
    something."""
    y = (
        x
    )

    # why
    if y:
        return y
    return x


class C:
    def g(self) -> int:
        """Nothing."""

        def inner() -> int:
            return 1

        return inner()
'''


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("a.py f: y =", "y = (\n    x\n)"),
        ("a.py f: y = ... if", "y = (\n    x\n)\n\n# why\nif y:"),
        ("a.py f: ... y =", "def f(x: int) -> int:\n    y = (\n        x\n    )"),
        ("a.py f: return x ...", "return x"),
        ("a.py C.g", "def g(self) -> int:\n\n    def inner() -> int:\n        return 1\n\n    return inner()"),
    ],
)
def test_what_a_quote_says(written: str, code: str) -> None:
    assert Quote.parse(written).code(lambda _: TEXT) == code


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("a.py g", "has no function g"),
        ("a.py f: z", "has 0 lines that begin with 'z'"),
        ("a.py f: return", "has 2 lines that begin with 'return'"),
        ("a.py f: if ... y", "has no line that begins with 'y' after 'if'"),
    ],
)
def test_a_quote_of_what_is_not_there(written: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Quote.parse(written).code(lambda _: TEXT)


def test_a_page_without_a_line_says_which_one_it_lacks() -> None:
    written = {"a.py f: ... if": "", "covers a.py": ""}
    written = {name: rendered(name, lambda _: TEXT) for name in written}
    assert problems(written, lambda _: TEXT) == [
        f"a.py {name}: no row has {line!r}"
        for name, line in [
            ("f", "return y"),
            ("f", "return x"),
            ("C.g", "def g(self) -> int:"),
            ("C.g", "def inner() -> int:"),
            ("C.g", "return 1"),
            ("C.g", "return inner()"),
        ]
    ]
