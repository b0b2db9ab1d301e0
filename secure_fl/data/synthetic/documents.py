"""The one JSON object in a text that a model wrote around it.

Models think aloud, greet, fence and explain. What stands before the last end of a thought is no answer. Of the rest,
braces are matched, strings skipped, and every span that is JSON counts: one object, however often it is repeated, is
the answer; two different ones are two answers, of which none is chosen; a span that is no JSON is prose, and nothing
inside it is looked for. Takes time proportional to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json


@dataclass(frozen=True)
class Document:
    """What a text holds. `complete`: it ends before the text is cut off."""

    content: Any
    complete: bool = True


class NoDocumentError(ValueError):
    """The text holds no JSON object."""


class SeveralDocumentsError(ValueError):
    """The text holds different JSON objects."""


_THOUGHT = re.compile(r"(?P<end>[<\[]/think(?:ing)?[>\]])|[<\[]think(?:ing)?[>\]]", re.IGNORECASE)
_OBJECT = re.compile(r'\{(?=\s*["}])')
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}]', re.DOTALL)


def find_document(text: str, cut: bool) -> Document:
    """The JSON object in a text, or the JSON value that the text is.

    cut: the text ends before the model was done, so that its last object may be incomplete; what is there of it is
    returned then. Raises NoDocumentError or SeveralDocumentsError.
    """
    spoken = _spoken(text, cut)
    if (whole := _parsed(spoken)) is not None:
        return whole
    found: Document | None = None
    for start, end in _spans(spoken):
        document = _parsed(spoken[start:end]) if end else _parsed(spoken[start:], partial=cut)
        if found is not None and document not in (None, found):
            raise SeveralDocumentsError
        found = found or document
    if found is None:
        raise NoDocumentError
    return found


def _spoken(text: str, cut: bool) -> str:
    """The text after its thoughts. A thought that was never ended is one only if the model was cut off in it."""
    answer, begun = 0, None
    for mark in _THOUGHT.finditer(text):
        if mark["end"]:
            answer, begun = mark.end(), None
        elif begun is None:
            begun = mark.start()
    return text[answer : begun if cut else None]


def _spans(text: str) -> Iterator[tuple[int, int | None]]:
    """Where an object could stand: from a brace to the one that closes it, or None where none does."""
    place = 0
    while (brace := _OBJECT.search(text, place)) is not None:
        depth, end = 0, None
        for token in _TOKEN.finditer(text, brace.start()):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                end = token.end()
                break
        yield brace.start(), end
        if end is None:
            return
        place = end


def _parsed(text: str, partial: bool = False) -> Document | None:
    try:
        content = from_json(text, allow_inf_nan=False, allow_partial="on" if partial else "off")
    except ValueError:
        return None
    return Document(content, complete=not partial)
