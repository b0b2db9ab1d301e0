"""What a run may spend in tokens and money, checked before each request and not after it.

Before a request its largest possible size is reserved: the answer's limit, and for the prompt one token per byte,
which no byte-level tokenizer exceeds, or, once the endpoint has reported real numbers, a quarter more than the largest
number of tokens per byte that it reported. If that does not fit, the request is not sent. Afterwards the reservation
is replaced by what the endpoint reports; where it reports nothing, the whole reservation counts as spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from secure_fl.errors import ConfigurationError, SyntheticError


class BudgetError(SyntheticError):
    """The next request could exceed the budget, and was not sent."""


@dataclass(frozen=True)
class Limits:
    """Raises ConfigurationError if a limit or a price makes no sense."""

    tokens: int | None = None
    """Most tokens of all requests together, prompts and answers; None: no limit."""
    cost: float | None = None
    """Most money, in the currency of the prices; None: no limit."""
    prompt_price: float = 0.0
    """Of a million tokens of prompts."""
    completion_price: float = 0.0
    """Of a million tokens of answers."""

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 1:
            raise ConfigurationError(f"a budget of {self.tokens} tokens buys nothing; choose at least 1")
        prices = (self.prompt_price, self.completion_price)
        if any(not math.isfinite(value) or value < 0 for value in (*prices, self.cost or 0.0)):
            raise ConfigurationError("a cost or a price is negative or not finite; choose numbers from 0")
        if self.cost is not None and not any(prices):
            raise ConfigurationError("a largest cost without prices cannot be kept; give the price of a million tokens")

    def price(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost of so many tokens."""
        return (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6


@dataclass
class Budget:
    """Running account of one run."""

    limits: Limits = field(default_factory=Limits)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _tokens_per_byte: float = 1.0
    _measured: float = 0.0

    @property
    def tokens(self) -> int:
        """Spent so far."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost(self) -> float:
        """Spent so far, at the prices of the limits."""
        return self.limits.price(self.prompt_tokens, self.completion_tokens)

    def reserve(self, prompt_bytes: int, max_tokens: int) -> tuple[int, int]:
        """Largest number of tokens of the prompt and of the answer. Raises BudgetError if they do not fit."""
        prompt = math.ceil(prompt_bytes * self._tokens_per_byte)
        tokens, cost = self.tokens + prompt + max_tokens, self.cost + self.limits.price(prompt, max_tokens)
        if self.limits.tokens is not None and tokens > self.limits.tokens:
            raise BudgetError(
                f"the next request could take the total to {tokens} tokens and the budget is {self.limits.tokens}; "
                "raise --max-tokens-total and repeat"
            )
        if self.limits.cost is not None and cost > self.limits.cost:
            raise BudgetError(
                f"the next request could take the cost to {cost:.4f} and the budget is {self.limits.cost:g}; "
                "raise --max-cost and repeat"
            )
        return prompt, max_tokens

    def settle(self, reserved: tuple[int, int], prompt_bytes: int, used: tuple[int | None, int | None]) -> None:
        """Replace a reservation by what the endpoint reported; None: it reported nothing."""
        prompt, completion = used
        self.prompt_tokens += reserved[0] if prompt is None else prompt
        self.completion_tokens += reserved[1] if completion is None else completion
        if prompt:
            self._measured = max(self._measured, prompt / prompt_bytes)
            self._tokens_per_byte = min(1.0, 1.25 * self._measured)
