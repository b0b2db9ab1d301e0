"""Lines of the package's source, found by what they say and not by their numbers, so that a page can quote them.

A quote is written as

    secagg/masked/client.py MaskedClient._masked_input: vector = ... add_mask(vector

that is: a file below `secure_fl`, a function or method, the beginning of the first line, the beginning of the last one.
Without ` ... ` it is one line; where nothing stands on a side of it, the function's beginning or end; without a colon,
the whole function. A line is what Python calls a logical line. Docstrings are left out.
"""

from __future__ import annotations

import ast
import io
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "secure_fl"
_NO_CODE = {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

Read = Callable[[str], str]
"""The text of a source file by its path below `secure_fl`."""
Line = tuple[int, int]
"""A logical line: the numbers of its first and last physical lines, from 1."""


def read_source(path: str) -> str:
    return (SOURCE / path).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Quote:
    """Some lines of one function."""

    path: str
    function: str
    first: str = ""
    last: str | None = ""
    """None: the first line only."""

    @classmethod
    def parse(cls, written: str) -> Quote:
        """Raises `ValueError`."""
        place, colon, lines = written.partition(":")
        if place.count(" ") != 1 or bool(colon) != bool(lines.strip()):
            raise ValueError(f"{written!r} is no quote; write FILE FUNCTION: FIRST LINE ... LAST LINE")
        path, function = place.split()
        first, dots, last = f" {lines.strip()} ".partition(" ... ")
        return cls(path, function, first.strip(), last.strip() if dots or not colon else None)

    def lines(self, read: Read) -> list[Line]:
        """The logical lines. Raises `ValueError` where the source has no such function, or not one such line."""
        text = read(self.path)
        if self.function not in functions(text):
            raise ValueError(f"{self.path} has no function {self.function}")
        lines, code = functions(text)[self.function], text.splitlines()
        starts = [place for place, (top, _) in enumerate(lines) if code[top - 1].strip().startswith(self.first)]
        if self.first and len(starts) != 1:
            raise ValueError(f"{self.function} has {len(starts)} lines that begin with {self.first!r}")
        lines = lines[starts[0] :]
        if self.last is None:
            return lines[:1]
        ends = [place for place, (top, _) in enumerate(lines) if code[top - 1].strip().startswith(self.last)]
        if not ends:
            raise ValueError(f"{self.function} has no line that begins with {self.last!r} after {self.first!r}")
        return lines[: ends[0] + 1] if self.last else lines

    def code(self, read: Read) -> str:
        """What the lines say, comments among them included, moved to the left."""
        lines, code = self.lines(read), read(self.path).splitlines()
        quoted = range(lines[0][0], lines[-1][1] + 1)
        without = _docstring_lines(read(self.path))
        return textwrap.dedent("\n".join(code[number - 1] for number in quoted if number not in without)).strip("\n")


@lru_cache(maxsize=256)
def functions(text: str) -> dict[str, list[Line]]:
    """The logical lines of each function and method, from its decorators to its end, without its docstring.

    What is defined inside of a function belongs to it.
    """
    lines, without = list(_logical_lines(text)), _docstring_lines(text)
    found: dict[str, list[Line]] = {}
    for name, node in _defined(ast.parse(text)):
        top = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        end = node.end_lineno or top
        found[name] = [line for line in lines if top <= line[0] <= end and line[0] not in without]
    return found


def _defined(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _defined(node, f"{prefix}{node.name}.")


def _logical_lines(text: str) -> Iterator[Line]:
    top = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            yield top, token.start[0]
            top = 0
        elif token.type not in _NO_CODE and not top:
            top = token.start[0]


@lru_cache(maxsize=256)
def _docstring_lines(text: str) -> frozenset[int]:
    """Numbers of all physical lines that hold nothing but strings on their own."""
    strings = (
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    return frozenset(number for node in strings for number in range(node.lineno, (node.end_lineno or 0) + 1))
