"""What a language model is sent: the form of a pattern, and public facts about the simulated transactions.

Rules: a prompt is a function of the number of the request and of constants of this project: the merchant categories,
the range of the simulator's amounts, the meaning of the fields. It takes no table, no row and no aggregate of a bank's
rows, and no earlier answer, so there is nothing private in it that could leave the bank and nothing foreign in it that
could steer the model. Each request asks for other kinds of fraud, so that patterns differ and answers can be cached.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from secure_fl.data.synthetic.draft import response_schema

Format = Literal["json_schema", "json_object", "plain"]
"""How the form of the answer is asked for: enforced schema, any JSON object, or by words only."""
FORMATS: tuple[Format, ...] = ("json_schema", "json_object", "plain")

_SYSTEM = """\
You write patterns of card fraud for a simulator that trains fraud detectors. Answer with JSON only, no line breaks.
A campaign hits accounts_low to accounts_low + accounts_spread cards. Each card makes payments_low to payments_low + \
payments_spread payments, with gaps of gap_low_seconds to gap_low_seconds + gap_spread_seconds between them, at a few \
terminals that the cards share, between first_hour and first_hour + hours.
Amounts go from amount_low to amount_low + amount_spread, in cents (1250 is 12.50) or in percent \
of the customer's mean amount (300 is three times the mean, 5000 the most). Customers usually pay 5 to 100.
course: rising or falling within a sequence. origin: existing or fresh (unknown so far). \
start_spread_hours: how far apart the cards begin. A category named twice weighs twice.
name: a few plain words. description: one plain sentence on how the fraud works."""
_KINDS = (
    "card testing with tiny amounts",
    "account takeover and goods that resell",
    "a compromised terminal",
    "a leaked card used over weeks",
    "gift cards bought in a row",
    "travel booked for others",
    "mule accounts that act in concert",
    "a new account that builds trust and then busts out",
    "orders at night while the owner sleeps",
    "low and slow below every limit",
    "a stolen contactless card",
    "skimmed cards at fuel pumps",
    "a fake merchant that charges many cards",
    "returns and refunds abused",
    "small recurring charges that nobody notices",
    "a ring that sweeps electronics shops",
    "pharmacy goods for resale",
    "a phishing wave and its spending",
    "cards swapped before delivery",
    "restaurants and bars with copied cards",
)
_TWISTS = (
    "as it is usually seen",
    "with many accounts at once",
    "with smaller amounts and longer gaps",
    "within a single hour",
    "spread over two weeks",
    "at terminals that nobody knew before",
    "with amounts that rise from payment to payment",
    "in the early morning",
)


@dataclass(frozen=True)
class Prompt:
    """What one request says and which form its answer must have."""

    instructions: str
    task: str
    patterns: int
    """How many patterns are asked for."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""
        return response_schema(self.patterns)

    def messages(self, form: Format) -> list[dict[str, str]]:
        """As the chat interface takes them; where the server does not enforce the schema, the prompt quotes it."""
        quoted = "" if form == "json_schema" else f"\nThe JSON schema of the answer:\n{json.dumps(self.schema)}"
        return [{"role": "system", "content": self.instructions + quoted}, {"role": "user", "content": self.task}]

    def digest(self, form: Format) -> str:
        """SHA-256 of the messages."""
        return hashlib.sha256(json.dumps(self.messages(form), sort_keys=True).encode("utf-8")).hexdigest()


def prompt(number: int, patterns: int) -> Prompt:
    """The request with this number (from 0) for so many patterns: other kinds of fraud for every number."""
    lines = []
    for place in range(patterns):
        turn, kind = divmod(number * patterns + place, len(_KINDS))
        lines.append(f"{place + 1}. {_KINDS[kind]}, {_TWISTS[turn % len(_TWISTS)]}")
    noun = "one pattern" if patterns == 1 else f"{patterns} patterns, each unlike the others"
    return Prompt(_SYSTEM, f"Write {noun} (request {number + 1}):\n" + "\n".join(lines), patterns)
