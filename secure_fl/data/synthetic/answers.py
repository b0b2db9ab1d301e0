"""From the text that a model answered to patterns, or to the named reason why it is not used.

Rules: an answer is data. It is parsed as JSON and checked against the schema, nothing in it is executed, followed or
shown unescaped, and what fails is dropped whole, never repaired; only from an answer that was cut off at its end, the
patterns before the cut are used. Reasons name fields, never what the model wrote into them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from secure_fl.data.synthetic.draft import PatternDraft
from secure_fl.data.synthetic.patterns import FraudPattern, faults
from secure_fl.data.synthetic.prompts import Format

Reason = Literal[
    "refusal", "content filter", "truncated", "empty", "not JSON", "outside the schema", "duplicate", "implausible"
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
        document = from_json(
            _unfenced(answer.text[:MAX_TEXT]), allow_inf_nan=False, allow_partial="off" if not cut else "on"
        )
    except ValueError:
        if not cut:
            reading.rejections.append(("not JSON", "the answer is no JSON document"))
        return
    items = document.get("patterns") if isinstance(document, dict) else None
    if not isinstance(items, list):
        if not cut:
            reading.rejections.append(("outside the schema", "the answer is no object with a list of patterns"))
        return
    for item in items[:-1] if cut else items:
        _read_item(item, reading)


def _read_item(item: Any, reading: Reading) -> None:
    try:
        reading.patterns.append(PatternDraft.model_validate_json(to_json(item)).to_pattern())
    except ValidationError as error:
        reading.rejections.append(("outside the schema", faults(error)))


def _unfenced(text: str) -> str:
    """The text without the Markdown fence that models put around JSON when nobody enforces its form."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") : -3].strip()
    return text
