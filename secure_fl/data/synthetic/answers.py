"""From the text that a model answered to patterns, or to the named reason why it is not used.

Rules: an answer is data. The one JSON object in it is parsed and checked against the schema, nothing in it is executed,
followed or shown unescaped, and what fails is dropped whole, never repaired; only from an answer that was cut off at
its end, the patterns before the cut are used. Reasons name fields, never what the model wrote into them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from secure_fl.data.synthetic.documents import NoDocumentError, SeveralDocumentsError, find_document
from secure_fl.data.synthetic.draft import PatternDraft
from secure_fl.data.synthetic.patterns import FraudPattern, faults
from secure_fl.data.synthetic.prompts import Format

Reason = Literal[
    "refusal",
    "content filter",
    "truncated",
    "empty",
    "not JSON",
    "several answers",
    "outside the schema",
    "duplicate",
    "implausible",
]
MAX_TEXT = 1_000_000
"""Longest answer, in characters, that is parsed."""


class Answer(BaseModel):
    """What an endpoint answered to one request, and what it says that this took."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    text: str
    finish_reason: str
    refused: bool
    form: Format
    """How its form was asked for."""
    prompt_tokens: Annotated[int, Field(ge=0)] | None
    completion_tokens: Annotated[int, Field(ge=0)] | None


class Rejection(BaseModel):
    """Something that a model wrote and that is not used, and why."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    reason: Reason
    detail: str
    prompt_digest: str


@dataclass
class Reading:
    """What one answer holds."""

    patterns: list[FraudPattern] = field(default_factory=list)
    rejections: list[tuple[Reason, str]] = field(default_factory=list)
    legible: bool = False
    """Whether it holds a whole pattern at all, usable or not."""


def read_answer(answer: Answer) -> Reading:
    """The valid patterns of an answer and the reasons for the rest. Never raises for what a model wrote."""
    reading = Reading()
    if answer.refused:
        reading.rejections.append(("refusal", "the model declined to answer"))
    elif answer.finish_reason == "content_filter":
        reading.rejections.append(("content filter", "the endpoint withheld the answer"))
    elif not answer.text.strip():
        spent: tuple[Reason, str] = ("truncated", "all its tokens were spent before it wrote anything")
        reading.rejections.append(spent if answer.finish_reason == "length" else ("empty", "the answer holds no text"))
    else:
        _read_text(answer, reading)
    return reading


def _read_text(answer: Answer, reading: Reading) -> None:
    cut = answer.finish_reason == "length"
    if cut:
        reading.rejections.append(("truncated", "the answer ends before it is complete"))
    try:
        document = find_document(answer.text[:MAX_TEXT], cut)
    except NoDocumentError:
        if not cut:
            reading.rejections.append(("not JSON", "the answer holds no JSON object"))
        return
    except SeveralDocumentsError:
        reading.rejections.append(("several answers", "the answer holds different JSON objects"))
        return
    content = document.content
    items = content.get("patterns") if isinstance(content, dict) else None
    if not isinstance(items, list):
        if not cut:
            reading.rejections.append(("outside the schema", "the answer is no object with a list of patterns"))
        return
    whole = items if document.complete else items[:-1]
    reading.legible = bool(whole)
    if not items and not cut:
        reading.rejections.append(("empty", "the list of patterns is empty"))
    for item in whole:
        _read_item(item, reading)


def _read_item(item: Any, reading: Reading) -> None:
    try:
        reading.patterns.append(PatternDraft.model_validate_json(to_json(item)).to_pattern())
    except ValidationError as error:
        reading.rejections.append(("outside the schema", faults(error)))
