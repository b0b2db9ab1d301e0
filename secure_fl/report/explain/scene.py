"""What a page is about: a few banks with four small numbers each, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from secure_fl.errors import ConfigurationError
from secure_fl.report.explain.pools import Updates
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.secagg.simulation import check_stage

BITS = 8
MODEL = 10_369
"""Weights of the model that `run` trains: ciphertexts have its layout, and four of its weights are shown."""
FEWEST, MOST = 3, 5
KRUM = "multi-krum"
KRUM_BANKS, BYZANTINE = 5, 1
"""Multi-Krum needs 2 f + 3 banks."""
# The digits of pi, two at a time.
_NUMBERS = (
    (3, 14, 15, 92),
    (65, 35, 89, 79),
    (32, 38, 46, 26),
    (43, 38, 32, 79),
    (50, 28, 84, 19),
)
KRUM_NUMBERS = 64
"""Of a bank, four of which are shown. Of fewer, distances, lengths and the sum would tell all."""
SHIFT, SPREAD, BOOST = 20, 4, 4
"""How far honest updates move, how far they differ, and how much further the poisoner goes the other way."""


@dataclass(frozen=True)
class Request:
    """What is to be explained. Raises `ConfigurationError` for what a page cannot show."""

    scheme: str = "masked"
    banks: int | None = None
    """None: as many as it takes."""
    drop: Mapping[str, str] = field(default_factory=dict)
    """Bank -> the first stage that it no longer answers."""
    robust: str = "none"
    score: bool = False
    """Whether a row is scored too, encrypted."""

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ConfigurationError(f"there is no scheme {self.scheme!r}; choose one of {', '.join(sorted(SCHEMES))}")
        if self.robust not in ("none", KRUM):
            raise ConfigurationError(f"a page shows no rule {self.robust!r}; use {KRUM} or none")
        if (self.robust == KRUM or self.score) and self.scheme != "ckks":
            raise ConfigurationError(f"{KRUM} on ciphertexts and encrypted scores are under ckks; use --scheme ckks")
        if not FEWEST <= self.count <= MOST:
            raise ConfigurationError(f"a page has room for {FEWEST} to {MOST} banks, not {self.count}; change --banks")
        if self.robust == KRUM and self.drop:
            raise ConfigurationError(f"of {KRUM_BANKS} banks under {KRUM} none may vanish; leave --drop out")
        if self.robust == KRUM and self.count != KRUM_BANKS:
            raise ConfigurationError(
                f"{KRUM} bears {BYZANTINE} byzantine bank of {KRUM_BANKS} or more; use --banks {KRUM_BANKS}"
            )
        for bank, stage in self.drop.items():
            if bank not in self.names:
                raise ConfigurationError(f"there is no {bank!r} to drop; the banks are {', '.join(self.names)}")
            check_stage(SCHEMES[self.scheme], stage)

    @property
    def count(self) -> int:
        return self.banks if self.banks is not None else KRUM_BANKS if self.robust == KRUM else FEWEST

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"bank-{number}" for number in range(1, self.count + 1))

    @property
    def updates(self) -> Updates:
        """Integers in [0, 2**BITS), four a bank; under Multi-Krum more, and the last bank's are poisoned."""
        if self.robust == KRUM:
            return dict(zip(self.names, _poisoned(len(self.names)), strict=True))
        return {name: np.array(row, dtype=np.int64) for name, row in zip(self.names, _NUMBERS, strict=False)}

    def columns(self, trustees: tuple[str, ...]) -> tuple[str, ...]:
        """The parties from left to right."""
        return (*self.names, AGGREGATOR, *trustees)


def _poisoned(banks: int) -> list[IntVector]:
    """Banks that agree, and one that sends the opposite, further. Half of the range stands for zero."""
    rng, zero = np.random.default_rng(314159), 1 << (BITS - 1)
    step = rng.integers(-SHIFT, SHIFT + 1, KRUM_NUMBERS)
    honest = [zero + step + rng.integers(-SPREAD, SPREAD + 1, KRUM_NUMBERS) for _ in range(banks - 1)]
    return [*honest, zero - BOOST * step]
