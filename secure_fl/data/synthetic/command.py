"""The `synthesize` command: patterns from the library or from a language model, into a file of proposals.

The two sources are never mixed up: the library is used when it is asked for by name, and only then.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import FraudPattern, Proposal
from secure_fl.data.synthetic.proposals import DEFAULT_FILE, add_proposals, read_proposals
from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.files import place_of_output

if TYPE_CHECKING:
    from secure_fl.data.synthetic.generator import Generation


@dataclass(frozen=True)
class Spending:
    """Limits of one run, as the command line gives them; see `budget.Limits`."""

    max_tokens_total: int | None = None
    max_cost: float | None = None
    prompt_price: float = 0.0
    completion_price: float = 0.0


@dataclass(frozen=True)
class Synthesis:
    """What the command did, for the summary on the terminal."""

    path: Path
    proposals: tuple[Proposal, ...]
    """Of this run; the file may hold earlier ones too."""
    source: str
    """"built-in library", or "language model NAME"."""
    rejected: dict[str, int] = field(default_factory=dict)
    """How often each reason."""
    requests: int = 0
    cached: int = 0
    tokens: int = 0
    cost: float = 0.0


def synthesize(
    count: int,
    built_in: bool,
    out: Path | None = None,
    *,
    spending: Spending | None = None,
    batch: int | None = None,
    timeout: float | None = None,
    temperature: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    check: Callable[[FraudPattern], str | None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Synthesis:
    """Write `count` proposals to `out` (default proposals.json); a file that exists is added to.

    check: why a pattern is implausible, or None; such patterns are asked for again. Raises ConfigurationError for
    settings that cannot work, SyntheticError if there are fewer patterns in the end: those are in the file.
    """
    path = out or DEFAULT_FILE
    if place_of_output(path, force=True).exists():
        read_proposals(path)  # a wrong name is found before it costs anything
    if built_in:
        proposals = library(count)
        add_proposals(path, proposals)
        return Synthesis(path, proposals, "built-in library")
    changes = {"batch": batch, "timeout": timeout, "temperature": temperature}
    return _from_model(
        count, path, spending or Spending(), {k: v for k, v in changes.items() if v is not None}, progress, check, sleep
    )


def _from_model(
    count: int,
    path: Path,
    spending: Spending,
    changes: dict[str, float],
    progress: Callable[[str, int, int], None] | None,
    check: Callable[[FraudPattern], str | None] | None,
    sleep: Callable[[float], None],
) -> Synthesis:
    if importlib.util.find_spec("openai") is None:
        raise ConfigurationError(
            "the package openai is not installed; install secure-fl[synthetic], or use the library with --built-in"
        )
    from secure_fl.data.synthetic.budget import Limits
    from secure_fl.data.synthetic.cache import AnswerCache
    from secure_fl.data.synthetic.endpoint import Endpoint
    from secure_fl.data.synthetic.generator import Generation, GeneratorSettings, generate

    limits = Limits(spending.max_tokens_total, spending.max_cost, spending.prompt_price, spending.completion_price)
    settings = GeneratorSettings(limits=limits, **changes)  # type: ignore[arg-type]
    endpoint, generation = Endpoint.from_environment(), Generation()
    try:
        generate(
            count, endpoint, settings, AnswerCache.of_user(), generation, progress=progress, check=check, sleep=sleep
        )
    finally:
        if generation.proposals or generation.rejections:
            add_proposals(path, generation.proposals, generation.rejections)
    if generation.stopped is not None:
        raise SyntheticError(_incomplete(generation, count, path))
    return _summary(generation, path, endpoint.model)


def _incomplete(generation: Generation, count: int, path: Path) -> str:
    """The error, and where the patterns are that there are."""
    if not generation.proposals:
        return str(generation.stopped)
    what, _, remedy = str(generation.stopped).partition("; ")
    done = f"{len(generation.proposals)} of {count} patterns are in {path}, and no paid answer is lost"
    return f"{what}: {done}; {remedy}"


def _summary(generation: Generation, path: Path, model: str) -> Synthesis:
    reasons = [rejection.reason for rejection in generation.rejections]
    return Synthesis(
        path=path,
        proposals=tuple(generation.proposals),
        source=f"language model {model}",
        rejected={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        requests=generation.requests,
        cached=generation.cached,
        tokens=generation.budget.tokens,
        cost=generation.budget.cost,
    )
