"""Settings of robustness: the rule that bears poisoned updates, and the banks that send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget import MAX_BANKS
from secure_fl.secagg.schemes import SCHEMES
from secure_fl.settings.banks import Banks

LEAST_BANKS: Mapping[str, tuple[int, int]] = {
    "median": (2, 1),
    "trimmed-mean": (2, 1),
    "norm-clip": (2, 1),
    "krum": (2, 3),
    "multi-krum": (2, 3),
    "bulyan": (4, 3),
    "rfa": (2, 1),
    "centred-clip": (10, 0),
    "fltrust": (1, 1),
}
"""Rule -> (a, b): with f byzantine banks it holds for n >= a f + b, as its paper has it (`secure_fl.robust`)."""
STRENGTHLESS = ("label-flip", "min-max", "min-sum")
"""Attacks that have no strength, or find it by themselves."""
TOGETHER = ("a-little", "min-max", "min-sum")
"""Attacks that measure how the attackers' own updates differ."""


def least_banks(rule: str, byzantine: int) -> int:
    """The fewest banks of which so many may be byzantine."""
    factor, more = LEAST_BANKS[rule]
    return max(1, factor * byzantine + more)


def require_enough(rule: str, banks: int, byzantine: int) -> None:
    """Raises `ConfigurationError` where a rule promises nothing for so many banks."""
    factor, more = LEAST_BANKS[rule]
    if byzantine < 0:
        raise ConfigurationError(f"{byzantine} byzantine banks cannot be; use 0 or more")
    least = least_banks(rule, byzantine)
    if banks < least:
        most = (banks - more) // factor
        fewer = f", or at most {most} byzantine" if most >= 0 else ""
        raise ConfigurationError(
            f"{rule} needs {factor} f + {more} banks where f = {byzantine} are byzantine, and {banks} are too few; use "
            f"at least {least} banks{fewer}"
        )


class Robust(Banks):
    """Robustness: against poisoned updates."""

    robust: Literal[
        "none",
        "median",
        "trimmed-mean",
        "norm-clip",
        "krum",
        "multi-krum",
        "bulyan",
        "rfa",
        "centred-clip",
        "fltrust",
    ] = "none"
    """The rule that stands in for the mean; it reads single updates, so plaintext only."""
    byzantine: Annotated[int, Field(ge=0, le=MAX_BANKS)] = 0
    """How many banks may send anything (f); with an attack, so many do: the last ones."""
    attack: Literal[
        "none",
        "label-flip",
        "sign-flip",
        "scaled",
        "a-little",
        "inner-product",
        "min-max",
        "min-sum",
        "backdoor",
        "free-rider",
    ] = "none"
    """What byzantine banks do."""
    attack_strength: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """How hard: a factor on the update (sign-flip: 4, scaled and backdoor: banks / byzantine, inner-product: 0.5),
    deviations (a-little: its paper's), or a free rider's noise in clip ranges (none) where nothing is said."""

    @property
    def attackers(self) -> tuple[str, ...]:
        """The banks that attack."""
        return self.bank_names[self.banks - self.byzantine :] if self.attack != "none" else ()

    def check_attack(self) -> None:
        """Raises `ConfigurationError` where nobody would attack, or nothing would follow."""
        if self.byzantine >= self.banks:
            raise ConfigurationError(
                f"{self.byzantine} byzantine banks of {self.banks} leave no honest one; use fewer byzantine"
            )
        if self.attack == "none":
            if self.attack_strength is not None:
                raise ConfigurationError(
                    "attack_strength says nothing without an attack; add --attack, or leave it out"
                )
            if self.byzantine and self.robust == "none":
                raise ConfigurationError("byzantine banks change nothing by themselves; add --robust or --attack")
            return
        least = 2 if self.attack in TOGETHER else 1
        if self.byzantine < least:
            why = ", which compares attackers' updates," if least > 1 else ""
            raise ConfigurationError(f"{self.attack}{why} needs banks that attack; use --byzantine {least} or more")
        if self.attack_strength is not None and self.attack in STRENGTHLESS:
            raise ConfigurationError(f"{self.attack} takes no attack_strength; leave it out")

    def check_rule(self, scheme: str) -> None:
        """Raises `ConfigurationError` where the rule could not work: too few banks, or a scheme that hides updates."""
        require_enough(self.robust, self.banks, self.byzantine)
        if SCHEMES[scheme].read_upload is None:
            to_come = " (multi-krum on ckks is to come)" if self.robust == "multi-krum" else ""
            raise ConfigurationError(
                f"{self.robust} compares single updates, and {scheme} hides them; use --scheme plaintext{to_come}, or "
                "leave out --robust"
            )
