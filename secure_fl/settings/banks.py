"""Settings of the banks: how many there are, how rows are dealt to them, which of them vanish, and which have left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget import MAX_BANKS, MIN_BANKS
from secure_fl.secagg.scheme import Scheme
from secure_fl.settings.section import FilledIn, Repeatable

_NAME = re.compile(r"[^\W_][\w .-]{0,63}")
_DROP = re.compile(r"(?P<party>[^@]+)@(?P<round>[0-9]{1,9}):(?P<stage>[a-z_]+)")


@dataclass(frozen=True)
class Drop:
    """A bank, or a holder, that stops answering in one round, from one stage on."""

    party: str
    round: int
    stage: str

    @classmethod
    def parse(cls, text: str) -> Drop:
        """PARTY@ROUND:STAGE."""
        match = _DROP.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"{text!r} does not say who drops out; write PARTY@ROUND:STAGE")
        return cls(match["party"], int(match["round"]), match["stage"])


class Banks(Repeatable):
    """Banks."""

    banks: Annotated[int, Field(ge=MIN_BANKS, le=MAX_BANKS)] = 3
    """How many take part."""
    split: Literal["even", "size", "pattern"] = "even"
    """How rows are dealt: evenly, to banks of different sizes, or so that banks see different kinds of fraud."""
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Split by pattern: small values make banks differ more."""
    names: Annotated[tuple[str, ...], FilledIn()] = ()
    """What they are called, where Python hands over their rows; otherwise bank-1, bank-2 ..."""
    drop: tuple[str, ...] = ()
    """A bank or holder that vanishes: PARTY@ROUND:STAGE."""
    without: Annotated[tuple[str, ...], FilledIn()] = ()
    """Those that have left: rows of a pooled table are dealt to them too, and nothing is computed from these."""
    retrained_from: Annotated[str | None, FilledIn(), Field(pattern=r"^[0-9a-f]{64}$")] = None
    """Head of the record of the run that they took part in."""

    @property
    def bank_names(self) -> tuple[str, ...]:
        """Of those that take part."""
        return tuple(name for name in self.dealt_names if name not in self.without)

    @property
    def dealt_names(self) -> tuple[str, ...]:
        """Of those that rows of a pooled table are dealt to."""
        return self.names or tuple(f"bank-{number}" for number in range(1, self.banks + len(self.without) + 1))

    @property
    def drops(self) -> tuple[Drop, ...]:
        return tuple(Drop.parse(text) for text in self.drop)

    def check_names(self) -> None:
        """Raises `ConfigurationError` where banks are not told apart, or a name fits into no message or file name."""
        if not self.names:
            return
        if len(self.names) != self.banks or len(set(self.names)) != self.banks:
            raise ConfigurationError(f"{len(set(self.names))} names do not suit {self.banks} banks; name each once")
        for name in (*self.names, *self.without):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"no bank can be called {name!r}; use up to 64 letters, digits, blanks, dots and hyphens"
                )

    def check_left(self) -> None:
        """Raises `ConfigurationError` where a bank has left that never was one, or still takes part."""
        if len({*self.without}) < len(self.without):
            raise ConfigurationError(f"a bank leaves twice: {', '.join(self.without)}; name each once")
        self.require_gone(self.names)
        for name in self.without:
            if not self.names and name not in self.dealt_names:
                raise ConfigurationError(
                    f"no bank called {name!r} can have left; banks were {self.dealt_names[0]} to {self.dealt_names[-1]}"
                )
        if self.retrained_from is not None and not self.without:
            raise ConfigurationError("a run is trained anew without a bank that left; say which, or leave out the head")

    def require_gone(self, names: tuple[str, ...]) -> None:
        """Raises `ConfigurationError` where a bank that has left is among those with these names."""
        back = [name for name in names if name in self.without]
        if back:
            raise ConfigurationError(f"{back[0]} has left, and is among the banks; leave out its name and its rows")

    def check_drops(self, rounds: int, scheme: Scheme) -> None:
        """Raises `ConfigurationError` where somebody cannot drop out as it should."""
        if len({(drop.party, drop.round) for drop in self.drops}) < len(self.drops):
            raise ConfigurationError(f"a party drops out twice in one round: {', '.join(self.drop)}; say it once")
        asked = scheme.trustee_stages
        for drop in self.drops:
            is_bank = drop.party in self.bank_names
            stages = scheme.stages if is_bank else (asked.get(drop.party),)
            if not 1 <= drop.round <= rounds or drop.stage not in stages:
                by_stage = {stage: [name for name in asked if asked[name] == stage] for stage in asked.values()}
                holders = "".join(f", of {', '.join(names)} {stage}" for stage, names in by_stage.items())
                raise ConfigurationError(
                    f"nobody can drop out as {drop.party}@{drop.round}:{drop.stage}; banks are {self.bank_names[0]} to "
                    f"{self.bank_names[-1]}, rounds 1 to {rounds}, stages of {scheme.name}: "
                    f"{', '.join(scheme.stages)}{holders}"
                )
