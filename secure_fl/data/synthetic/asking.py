"""Asking until there is an answer: the cache first, then the endpoint, with patience and a ladder of forms.

Rules:
- Nothing is sent before the budget has room for the largest that it can become.
- Busy endpoints (429, 503, unreachable) are asked again after the time that they name, or after waits that double,
  with jitter.
- A time-out, and an answer under status 200 that is none, count as spent, because they may be charged for: after two
  of them for one prompt it is given up. The second try after an unreadable answer is in the next form.
- Forms go down json_schema, json_object, plain. A refusal of a form (400) is believed at once. A failure (500) may be
  a passing fault, or a server that means 400: lower forms are tried for this one request, and the form is given up
  only when it has failed, where a lower one worked, for a second request.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from secure_fl.data.synthetic.answers import Answer
from secure_fl.data.synthetic.budget import Budget
from secure_fl.data.synthetic.cache import AnswerCache
from secure_fl.data.synthetic.endpoint import (
    BrokenError,
    BusyError,
    Line,
    SilentError,
    TokenLimit,
    UnreadableError,
    UnsupportedError,
)
from secure_fl.data.synthetic.prompts import FORMATS, Format, Prompt
from secure_fl.errors import SyntheticError

_DOUBTS = 2


@dataclass(frozen=True)
class Patience:
    """How often and how long to wait for an endpoint."""

    attempts: int = 5
    """Most requests for one answer in one form."""
    paid_attempts: int = 2
    """Most requests for one answer, in all forms, that may have been charged for without giving it."""
    broken_attempts: int = 2
    """Most requests in one form that fail with 500 before the next form is tried."""
    first_wait: float = 1.0
    """Seconds; doubled after every attempt, and shortened by up to a half at random."""
    longest_wait: float = 60.0
    """Seconds; an endpoint that asks for a longer wait ends the run."""

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after this attempt (from 0)."""
        if retry_after is not None:
            return retry_after
        jitter = 0.5 + secrets.randbelow(1001) / 2000
        return min(self.longest_wait, self.first_wait * 2.0**attempt) * jitter


@dataclass(frozen=True)
class Asked:
    """An answer, and whether it cost nothing."""

    answer: Answer
    cached: bool


class Asker:
    """Asks one endpoint; remembers between requests which forms it knows."""

    def __init__(
        self, line: Line, budget: Budget, cache: AnswerCache, patience: Patience, sleep: Callable[[float], None]
    ) -> None:
        self._line, self._budget, self._cache = line, budget, cache
        self._patience, self._sleep = patience, sleep
        self._rung, self._doubts, self._paid = 0, 0, 0
        self._limit: TokenLimit = "max_completion_tokens"

    def ask(self, prompt: Prompt, max_tokens: int) -> Asked:
        """The answer to one prompt. Raises SyntheticError (BudgetError if it no longer fits) where there is none."""
        for form in FORMATS:
            stored = self._cache.find(prompt, self._line.endpoint.model, form, max_tokens)
            if stored is not None:
                return Asked(stored, cached=True)
        answer = self._ask_down_the_ladder(prompt, max_tokens)
        self._cache.store(prompt, self._line.endpoint.model, max_tokens, answer)
        return Asked(answer, cached=False)

    def _ask_down_the_ladder(self, prompt: Prompt, max_tokens: int) -> Answer:
        failure: SyntheticError | None = None
        certain, rung, self._paid = True, self._rung, 0
        while rung < len(FORMATS):
            try:
                answer = self._ask_patiently(prompt, FORMATS[rung], max_tokens)
            except UnsupportedError as error:
                failure = error
            except BrokenError as error:
                failure, certain = error, False
            except UnreadableError as error:
                self._require_another_try(error)
                self._sleep(self._patience.wait(0, None))
                certain = False
                if FORMATS[rung] == FORMATS[-1]:
                    continue
            else:
                if rung > self._rung:
                    self._doubts += 1
                    if certain or self._doubts >= _DOUBTS:
                        self._rung, self._doubts = rung, 0
                return answer
            rung += 1
        assert failure is not None
        raise failure

    def _require_another_try(self, error: SyntheticError) -> None:
        """Raise the error if as much was paid for nothing as is allowed."""
        self._paid += 1
        if self._paid >= self._patience.paid_attempts:
            raise error

    def _ask_patiently(self, prompt: Prompt, form: Format, max_tokens: int) -> Answer:
        attempt, broken = 0, 0
        while True:
            wait: float | None = None
            try:
                return self._ask_once(prompt, form, max_tokens)
            except UnsupportedError as error:
                if not error.about_limit or self._limit == "max_tokens":
                    raise
                self._limit = "max_tokens"
                continue
            except BrokenError:
                broken += 1
                last = form == FORMATS[-1]
                if broken >= (self._patience.attempts if last else self._patience.broken_attempts):
                    raise
            except SilentError as error:
                self._require_another_try(error)
            except BusyError as error:
                if attempt + 1 >= self._patience.attempts:
                    raise
                wait = error.retry_after
            if wait is not None and wait > self._patience.longest_wait:
                raise SyntheticError(f"the endpoint asks to wait for {wait:.0f} s; repeat after that")
            self._sleep(self._patience.wait(attempt, wait))
            attempt += 1

    def _ask_once(self, prompt: Prompt, form: Format, max_tokens: int) -> Answer:
        size = len(json.dumps([prompt.messages(form), prompt.schema]).encode("utf-8"))
        reserved = self._budget.reserve(size, max_tokens)
        try:
            answer = self._line.send(prompt, form, max_tokens, self._limit)
        except (SilentError, UnreadableError):
            self._budget.settle(reserved, size, (None, None))
            raise
        self._budget.settle(reserved, size, (answer.prompt_tokens, answer.completion_tokens))
        return answer
