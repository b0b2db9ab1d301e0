"""The form in which a language model writes a pattern: flat, whole numbers, so that most of it is valid by form.

A range is written as its low end and a spread of 0 or more, never as two ends that could stand the wrong way round; a
distribution is a word; a merchant category that is named twice weighs twice; the duration follows from the gaps and
the spread of the starts. What a schema cannot enforce is checked when the draft becomes a `FraudPattern`.

The JSON schema uses what the strict structured output of OpenAI knows, and smaller servers too: every field required,
no further ones, enums, bounds, patterns, and no references.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from secure_fl.data.simulator import DAY
from secure_fl.data.synthetic.patterns import (
    MAX_DAYS,
    Amount,
    Category,
    CategoryWeight,
    Channel,
    Course,
    FraudPattern,
    Gaps,
    Hours,
    Number,
    Origin,
    Shape,
)

DraftCountry = Literal[
    "AE", "AT", "BE", "BG", "BR", "CA", "CH", "CN", "CY", "DE", "ES", "FR", "GB", "IT", "LT", "LU", "MT", "MX", "NG",
    "NL", "PL", "PT", "RO", "TH", "TR", "UA", "US", "ZA",
]  # fmt: skip
"""Countries that a model may choose from: an enum that also a small model keeps to."""


class PatternDraft(BaseModel):
    """One pattern as a model writes it. Amounts are in hundredths: of the currency, or of the customer's mean."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9 ,.()/'-]{2,59}$")]
    description: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9 ,.;()/'%-]{9,199}$")]
    channel: Channel
    categories: Annotated[tuple[Category, ...], Field(min_length=1, max_length=4)]
    amount_basis: Literal["cents", "percent of mean"]
    amount_low: Annotated[int, Field(ge=1, le=400_000)]
    amount_spread: Annotated[int, Field(ge=0, le=400_000)]
    amount_shape: Shape
    amount_course: Course
    payments_low: Annotated[int, Field(ge=1, le=20)]
    payments_spread: Annotated[int, Field(ge=0, le=20)]
    gap_low_seconds: Annotated[int, Field(ge=2, le=172_800)]
    gap_spread_seconds: Annotated[int, Field(ge=0, le=172_800)]
    gap_shape: Shape
    first_hour: Annotated[int, Field(ge=0, le=23)]
    hours: Annotated[int, Field(ge=1, le=24)]
    payments_per_day: Annotated[int, Field(ge=1, le=40)]
    accounts_low: Annotated[int, Field(ge=1, le=60)]
    accounts_spread: Annotated[int, Field(ge=0, le=60)]
    account_origin: Origin
    terminals_low: Annotated[int, Field(ge=1, le=20)]
    terminals_spread: Annotated[int, Field(ge=0, le=20)]
    terminal_origin: Origin
    start_spread_hours: Annotated[int, Field(ge=0, le=480)]
    countries: Annotated[tuple[DraftCountry, ...], Field(min_length=1, max_length=3)]

    def to_pattern(self) -> FraudPattern:
        """The pattern that is meant. Raises pydantic's ValidationError where the numbers do not fit together."""
        currency = self.amount_basis == "cents"
        gaps = Gaps(
            low=float(self.gap_low_seconds),
            high=float(self.gap_low_seconds + self.gap_spread_seconds),
            shape=self.gap_shape,
        )
        return FraudPattern(
            name=self.name.strip(),
            description=self.description.strip(),
            amount=Amount(
                basis="currency" if currency else "customer mean",
                low=self.amount_low / 100,
                high=(self.amount_low + self.amount_spread) / 100,
                shape=self.amount_shape,
                course=self.amount_course,
            ),
            categories=tuple(
                CategoryWeight(category=kind, weight=float(self.categories.count(kind)))
                for kind in dict.fromkeys(self.categories)
            ),
            payments=_number(self.payments_low, self.payments_spread),
            gaps=gaps,
            hours=Hours(first=self.first_hour, length=self.hours),
            velocity=self.payments_per_day,
            accounts=_number(self.accounts_low, self.accounts_spread),
            account_origin=self.account_origin,
            terminals=_number(self.terminals_low, self.terminals_spread),
            terminal_origin=self.terminal_origin,
            duration_days=self._duration(gaps),
            channel=self.channel,
            countries=tuple(dict.fromkeys(self.countries)),
        )

    def _duration(self, gaps: Gaps) -> float:
        """Days: the longest sequence, stretched where it waits for its hours, and the spread of the starts."""
        further = self.payments_low + self.payments_spread - 1
        longest = max(further * gaps.high / DAY * 24 / self.hours, further // self.payments_per_day + 1)
        return round(min(float(MAX_DAYS), longest + self.start_spread_hours / 24), 2)


def response_schema(patterns: int) -> dict[str, Any]:
    """JSON schema of an answer: {"patterns": [exactly so many drafts]}."""
    draft = _without_titles(PatternDraft.model_json_schema())
    del draft["description"]
    fields = {"patterns": {"type": "array", "minItems": patterns, "maxItems": patterns, "items": draft}}
    return {"type": "object", "properties": fields, "required": ["patterns"], "additionalProperties": False}


def _number(low: int, spread: int) -> Number:
    return Number(low=low, high=low + spread)


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without pydantic's titles, which only cost tokens."""
    return {
        key: {name: _without_titles(field) for name, field in value.items()}
        if key == "properties"
        else _without_titles(value)
        if isinstance(value, dict)
        else value
        for key, value in schema.items()
        if key != "title"
    }
