"""Settings of the banks: how many there are, how rows are dealt to them, and which of them vanish."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget import MAX_BANKS, MIN_BANKS
from secure_fl.settings.section import FilledIn, Repeatable

_NAME = re.compile(r"[^\W_][\w .-]{0,63}")
_DROP = re.compile(r"(?P<bank>[^@]+)@(?P<round>[0-9]{1,9}):(?P<stage>[a-z_]+)")


@dataclass(frozen=True)
class Drop:
    """A bank that stops answering in one round, from one stage on."""

    bank: str
    round: int
    stage: str

    @classmethod
    def parse(cls, text: str) -> Drop:
        """BANK@ROUND:STAGE."""
        match = _DROP.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"{text!r} does not say who drops out; write BANK@ROUND:STAGE")
        return cls(match["bank"], int(match["round"]), match["stage"])


class Banks(Repeatable):
    """Banks."""

    banks: Annotated[int, Field(ge=MIN_BANKS, le=MAX_BANKS)] = 3
    """How many there are."""
    split: Literal["even", "size", "pattern"] = "even"
    """How rows are dealt: evenly, to banks of different sizes, or so that banks see different kinds of fraud."""
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Split by pattern: small values make banks differ more."""
    names: Annotated[tuple[str, ...], FilledIn()] = ()
    """What they are called, where Python hands over their rows; otherwise bank-1, bank-2 ..."""
    drop: tuple[str, ...] = ()
    """A bank that vanishes: BANK@ROUND:STAGE."""

    @property
    def bank_names(self) -> tuple[str, ...]:
        return self.names or tuple(f"bank-{number}" for number in range(1, self.banks + 1))

    @property
    def drops(self) -> tuple[Drop, ...]:
        return tuple(Drop.parse(text) for text in self.drop)

    def check_names(self) -> None:
        """Raises `ConfigurationError` where banks are not told apart, or a name fits into no message or file name."""
        if not self.names:
            return
        if len(self.names) != self.banks or len(set(self.names)) != self.banks:
            raise ConfigurationError(f"{len(set(self.names))} names do not suit {self.banks} banks; name each once")
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"no bank can be called {name!r}; use up to 64 letters, digits, blanks, dots and hyphens"
                )

    def check_drops(self, rounds: int, scheme: str, stages: tuple[str, ...]) -> None:
        """Raises `ConfigurationError` where a bank cannot drop out as it should."""
        if len({(drop.bank, drop.round) for drop in self.drops}) < len(self.drops):
            raise ConfigurationError(f"a bank drops out twice in one round: {', '.join(self.drop)}; say it once")
        for drop in self.drops:
            if drop.bank not in self.bank_names or not 1 <= drop.round <= rounds or drop.stage not in stages:
                raise ConfigurationError(
                    f"nobody can drop out as {drop.bank}@{drop.round}:{drop.stage}; banks are {self.bank_names[0]} to "
                    f"{self.bank_names[-1]}, rounds 1 to {rounds}, stages of {scheme}: {', '.join(stages)}"
                )
