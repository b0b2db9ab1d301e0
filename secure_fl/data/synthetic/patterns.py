"""A fraud pattern: a parametrized sequence of payments, from which any number of fraudulent rows can be drawn.

The terms: one *campaign* is one run of the fraud. It hits `accounts` customers and uses `terminals` terminals; each of
its accounts makes one *sequence* of `payments` payments, with `gaps` seconds between them, inside the `hours` of the
day, never faster than `velocity` allows, and all of it within `duration_days`. sampler.py turns this into rows.

Rules:
- A pattern holds parameters only, never a row. It is frozen and strict: whoever has one has a valid one.
- Every number is finite and bounded, every range has low <= high, and a sequence must fit into its duration.
- Texts come from a language model and are data, not instructions and not markup: they are short and printable, and
  angle brackets and links are refused, so that no page or terminal can be made to do anything with them.
- `channel` and `countries` describe the fraud to the expert who reviews it. The simulated transactions have no such
  columns (time, amount, category, customer, terminal), so they are kept with the pattern and never sampled.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from secure_fl.data.simulator import DAY
from secure_fl.data.synthetic.countries import COUNTRIES
from secure_fl.errors import DataError

SCHEMA_VERSION = 1
"""Version of the form of a pattern; part of every cache key and of every file."""
Category = Literal["grocery", "restaurant", "fuel", "clothing", "pharmacy", "electronics", "travel", "online"]
"""A merchant category of the simulated transactions."""
Channel = Literal["card present", "contactless", "cash machine", "online", "telephone"]
Shape = Literal["uniform", "mostly low", "mostly high", "log-uniform"]
"""How values lie between low and high: evenly, with a falling or rising density, or evenly in the logarithm."""
Course = Literal["independent", "rising", "falling"]
"""Whether the amounts of one sequence come in any order, or grow, or shrink."""
Origin = Literal["existing", "fresh"]
"""Drawn from the customers (or terminals) that the table knows, or new identifiers that nobody has seen."""
MAX_AMOUNT = 10_000.0
"""Largest amount that a pattern may ask for, in the currency of the table."""
MAX_MULTIPLE = 50.0
"""Largest amount as a multiple of the customer's mean."""
MAX_PAYMENTS, MAX_ACCOUNTS, MAX_TERMINALS, MAX_DAYS = 100, 500, 100, 180


def _plain(text: str) -> str:
    """The text, if it is safe to show."""
    if not text.isprintable() or text != text.strip():
        raise ValueError("holds control characters, line breaks or blanks around it")
    if any(mark in text for mark in ("<", ">", "://", "`")):
        raise ValueError("holds markup or a link")
    return text


Name = Annotated[str, Field(min_length=3, max_length=60), AfterValidator(_plain)]
Description = Annotated[str, Field(min_length=10, max_length=400), AfterValidator(_plain)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Amount(_Frozen):
    """Distribution of one payment's amount, between low and high, ends included."""

    basis: Literal["currency", "customer mean"]
    """Whether low and high are amounts, or multiples of the customer's mean amount."""
    low: Annotated[float, Field(ge=0.01, le=MAX_AMOUNT)]
    high: Annotated[float, Field(ge=0.01, le=MAX_AMOUNT)]
    shape: Shape = "uniform"
    course: Course = "independent"

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ordered(self.low, self.high)
        if self.basis == "customer mean" and self.high > MAX_MULTIPLE:
            raise ValueError(f"is more than {MAX_MULTIPLE:g} times the customer's mean")
        if self.basis == "currency" and math.ceil(round(self.low * 100, 6)) > round(self.high * 100, 6):
            raise ValueError("holds no whole hundredth of the currency")
        return self


class CategoryWeight(_Frozen):
    """One merchant category and its share, relative to the others of the pattern."""

    category: Category
    weight: Annotated[float, Field(ge=0.001, le=1000.0)]


class Gaps(_Frozen):
    """Distribution of the seconds between one payment and the next of the same account."""

    low: Annotated[float, Field(ge=1.0, le=90.0 * DAY)]
    high: Annotated[float, Field(ge=1.0, le=90.0 * DAY)]
    shape: Shape = "uniform"

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ordered(self.low, self.high)
        if math.ceil(self.low) > self.high:
            raise ValueError("holds no whole second")
        return self


class Hours(_Frozen):
    """Hours of the day in which payments are made: from `first`:00, for `length` hours, past midnight if need be."""

    first: Annotated[int, Field(ge=0, le=23)]
    length: Annotated[int, Field(ge=1, le=24)]


class Number(_Frozen):
    """A whole number, drawn evenly from low to high, ends included."""

    low: Annotated[int, Field(ge=1)]
    high: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ordered(self.low, self.high)
        return self


class FraudPattern(_Frozen):
    """One way in which fraud is committed. Construction raises pydantic's ValidationError; see `parse_pattern`."""

    name: Name
    description: Description
    amount: Amount
    categories: Annotated[tuple[CategoryWeight, ...], Field(min_length=1, max_length=8)]
    payments: Number
    """Payments of one account in one campaign."""
    gaps: Gaps
    hours: Hours
    """A payment that would fall outside them waits until they begin again."""
    velocity: Annotated[int, Field(ge=1, le=MAX_PAYMENTS)]
    """Most payments of one account within any 24 hours; the next one waits."""
    accounts: Number
    """Customers that one campaign hits in concert."""
    account_origin: Origin
    terminals: Number
    """Terminals that one campaign uses; its accounts share them."""
    terminal_origin: Origin
    duration_days: Annotated[float, Field(ge=0.01, le=MAX_DAYS)]
    """Longest time from a campaign's first payment to its last; its sequences start anywhere within it."""
    channel: Channel
    """For the reviewer; the simulated transactions have no such column."""
    countries: Annotated[tuple[Country, ...], Field(min_length=1, max_length=8)]
    """ISO 3166-1 codes; for the reviewer; the simulated transactions have no such column."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, number, most in (
            ("payments", self.payments, MAX_PAYMENTS),
            ("accounts", self.accounts, MAX_ACCOUNTS),
            ("terminals", self.terminals, MAX_TERMINALS),
        ):
            if number.high > most:
                raise ValueError(f"has {name} above {most}")
        for what, values in (("category", [c.category for c in self.categories]), ("country", list(self.countries))):
            if len(set(values)) < len(values):
                raise ValueError(f"names a {what} twice")
        if not set(self.countries) <= COUNTRIES:
            raise ValueError("names a country that ISO 3166-1 does not know")
        if self.shortest_seconds > self.duration_days * DAY:
            raise ValueError("has sequences that do not fit into its duration")
        return self

    @property
    def shortest_seconds(self) -> float:
        """How long the shortest sequence takes at least, hours of the day aside."""
        waits = (self.payments.low - 1) // self.velocity
        return max((self.payments.low - 1) * self.gaps.low, waits * float(DAY))

    @property
    def canonical_json(self) -> str:
        """One text per pattern: sorted keys, no blanks."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        """SHA-256 of `canonical_json`, in hexadecimal: the identity of the pattern."""
        return hashlib.sha256(self.canonical_json.encode("utf-8")).hexdigest()


class Provenance(_Frozen):
    """Where a pattern comes from. It names a model, never an endpoint's address or a key."""

    source: Literal["built-in library", "language model"]
    model: Annotated[str, Field(max_length=200), AfterValidator(_plain)] | None = None
    """Name of the language model, as the request named it."""
    prompt_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the messages that the model was sent."""
    reference: Annotated[str, Field(max_length=300), AfterValidator(_plain)] | None = None
    """For the library: what the pattern is modelled on."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        from_model = self.source == "language model"
        if from_model != (self.model is not None) or from_model != (self.prompt_digest is not None):
            raise ValueError("a language model's pattern, and no other, names a model and the digest of a prompt")
        return self

    @property
    def label(self) -> str:
        """In one line, for tables and pages."""
        return self.source if self.model is None else f"{self.source} {self.model}"


class Proposal(_Frozen):
    """A pattern and where it comes from: what is validated, reviewed and, if approved, sampled."""

    pattern: FraudPattern
    provenance: Provenance

    @property
    def digest(self) -> str:
        """The pattern's; the provenance does not change what is sampled."""
        return self.pattern.digest


def parse_pattern(text: str) -> FraudPattern:
    """Inverse of `canonical_json`. Raises DataError that names the fields at fault, never their values."""
    try:
        return FraudPattern.model_validate_json(text)
    except ValidationError as error:
        reason = faults(error)
    raise DataError(f"the pattern is malformed ({reason}); correct these fields")


def faults(error: ValidationError) -> str:
    """Which fields are wrong and why, without a value: at most three of them."""
    found: list[dict[str, Any]] = [dict(fault) for fault in error.errors(include_url=False, include_input=False)]
    lines = []
    for fault in found[:3]:
        path = (
            fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"]
        )  # its last part is foreign text
        place = ".".join(str(part) for part in path) or "the whole"
        lines.append(f"{place}: {fault['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def _ordered(low: float, high: float) -> None:
    if low > high:
        raise ValueError("has low above high")
