"""A language model writes fraud patterns until there are as many as were asked for.

Rules: every answer is checked; what is not used is recorded with its reason; near-equal patterns are asked again. What
has been got is never lost: answers are cached as they arrive, and a run that ends early keeps its patterns and says
why it ended. Only requests that were really sent count against the limits, so that a repeated run goes on where the
last one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from secure_fl.data.synthetic.answers import Answer, Reading, Reason, Rejection, read_answer
from secure_fl.data.synthetic.asking import Asker, Patience
from secure_fl.data.synthetic.budget import Budget, Limits
from secure_fl.data.synthetic.cache import AnswerCache
from secure_fl.data.synthetic.endpoint import Endpoint, Line
from secure_fl.data.synthetic.patterns import FraudPattern, Proposal, Provenance
from secure_fl.data.synthetic.prompts import Prompt, prompt
from secure_fl.data.synthetic.similarity import resembles_any
from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.progress import Progress

Check = Callable[[FraudPattern], str | None]
"""Why a pattern is implausible, or None."""
MAX_COUNT = 1000
_GROWTH = 8


@dataclass(frozen=True)
class GeneratorSettings:
    """How patterns are asked for. Raises ConfigurationError if a number makes no sense."""

    batch: int = 4
    """Patterns per request."""
    tokens_per_pattern: int = 600
    """Room for one pattern in an answer; doubled, up to eight times, when answers are cut off."""
    timeout: float = 120.0
    """Seconds for one request."""
    temperature: float | None = None
    """Of the sampling; None: the endpoint's own."""
    unread: int = 2
    """Answers in a row that hold no whole pattern, after which the run ends: each is paid for."""
    fruitless: int = 10
    """Answers in a row without a new pattern, after which the run ends."""
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("batch", self.batch, 1, 20),
            ("tokens_per_pattern", self.tokens_per_pattern, 100, 20_000),
            ("timeout", self.timeout, 0.01, 3600),
            ("temperature", 0.0 if self.temperature is None else self.temperature, 0.0, 2.0),
            ("unread", self.unread, 1, 1000),
            ("fruitless", self.fruitless, 1, 1000),
        ):
            if not low <= value <= high:
                raise ConfigurationError(f"{name} of the generator is {value}; choose {low} to {high}")


@dataclass
class Generation:
    """What a run has got so far; filled while it runs, so that an interrupted one keeps it."""

    proposals: list[Proposal] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    requests: int = 0
    """Answers that the endpoint gave in this run."""
    cached: int = 0
    """Answers that earlier runs had paid for."""
    stopped: SyntheticError | None = None
    """Why it ended before there were enough."""


def generate(
    count: int,
    endpoint: Endpoint,
    settings: GeneratorSettings,
    cache: AnswerCache,
    generation: Generation,
    *,
    progress: Progress | None = None,
    check: Check | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Add `count` proposals to `generation`, or fewer and the reason why.

    check: a further test that a pattern must pass. Raises ConfigurationError if the count makes no sense.
    """
    require_count(count)
    generation.budget.limits = settings.limits
    with Line(endpoint, settings.timeout, settings.temperature) as line:
        asker = Asker(line, generation.budget, cache, settings.patience, sleep)
        try:
            _fill(count, endpoint.model, settings, asker, generation, progress or _silence, check or _accept)
        except SyntheticError as error:
            generation.stopped = error


def require_count(count: int) -> None:
    """Raise ConfigurationError unless so many patterns can be asked for."""
    if not 1 <= count <= MAX_COUNT:
        raise ConfigurationError(f"{count} patterns cannot be asked for; choose a count from 1 to {MAX_COUNT}")


def _fill(
    count: int,
    model: str,
    settings: GeneratorSettings,
    asker: Asker,
    generation: Generation,
    progress: Progress,
    check: Check,
) -> None:
    number = fruitless = unread = 0
    batch, room, most = settings.batch, settings.tokens_per_pattern, _GROWTH * settings.tokens_per_pattern
    progress("patterns", 0, count)
    while (had := len(generation.proposals)) < count:
        request = prompt(number, min(batch, count - had))
        asked = asker.ask(request, request.patterns * room)
        generation.requests += not asked.cached
        generation.cached += asked.cached
        reading = _take(asked.answer, request, model, count, generation, check)
        progress("patterns", len(generation.proposals), count)
        grows = asked.answer.finish_reason == "length" and (batch > 1 or room < most)
        if len(generation.proposals) > had or asked.cached:
            fruitless = unread = 0
        else:
            fruitless += 1
            unread = 0 if reading.legible or grows else unread + 1
        if unread >= settings.unread or fruitless >= settings.fruitless:
            raise _hopeless(fruitless, unread, settings, generation)
        if grows:
            batch, room = max(1, batch // 2), min(2 * room, most)
        number += 1


def _hopeless(fruitless: int, unread: int, settings: GeneratorSettings, generation: Generation) -> SyntheticError:
    illegible = unread >= settings.unread
    last = generation.rejections[-unread:] if illegible else generation.rejections
    reasons = ", ".join(sorted({rejection.reason for rejection in last}))
    said = (
        f"{unread} answers in a row could not be read"
        if illegible
        else f"{fruitless} answers in a row held no usable pattern"
    )
    return SyntheticError(f"{said} ({reasons}); use another model, or repeat: what was asked already costs nothing")


def _take(answer: Answer, request: Prompt, model: str, count: int, generation: Generation, check: Check) -> Reading:
    """Sort what one answer holds into proposals and rejections; what it held."""
    digest = request.digest(answer.form)
    reading = read_answer(answer)
    refused: list[tuple[Reason, str]] = list(reading.rejections)
    for pattern in reading.patterns[: count - len(generation.proposals)]:
        objection = check(pattern)
        if objection is not None:
            refused.append(("implausible", objection))
        elif resembles_any(pattern, (proposal.pattern for proposal in generation.proposals)):
            refused.append(("duplicate", "nearly the same as an earlier pattern"))
        else:
            provenance = Provenance(source="language model", model=model, prompt_digest=digest)
            generation.proposals.append(Proposal(pattern=pattern, provenance=provenance))
    generation.rejections += [
        Rejection(reason=reason, detail=detail, prompt_digest=digest) for reason, detail in refused
    ]
    return reading


def _silence(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


def _accept(_pattern: FraudPattern) -> None:
    """Object to nothing."""
