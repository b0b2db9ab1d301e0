"""Settings of robustness: the rule that bears poisoned updates, and the banks that send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from secure_fl.codec.quantization import CLIP_RANGE
from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget import MAX_BANKS, MIN_BANKS
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
ONE_OF_MANY = ("norm-clip", "fltrust")
"""Rules on single updates only: the norm or the direction of a group's mean says too little of those in it."""
Way: TypeAlias = Literal["updates", "distances", "groups"]
"""What a rule sees: single updates; their distances, which the key authority opens; the means of groups."""
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


def way_of(rule: str, scheme: str, *, grouped: bool) -> Way:
    """How a rule goes with a scheme. Raises `ConfigurationError`, which says why, where it does not."""
    if grouped:
        if rule in ONE_OF_MANY:
            raise ConfigurationError(
                f"{rule} needs single updates: the norm or the direction of a group's mean says too little of those in "
                "it; use another rule, or --scheme plaintext without --group-size"
            )
        return "groups"
    if SCHEMES[scheme].read_upload is not None:
        return "updates"
    if (rule, scheme) == ("multi-krum", "ckks"):
        return "distances"
    if (rule, scheme) == ("krum", "ckks"):
        raise ConfigurationError(
            "krum takes one bank, and a sum over one is its update, which ckks hides; use multi-krum, --group-size or "
            "--scheme plaintext"
        )
    instead = (
        "--scheme plaintext" if rule in ONE_OF_MANY else "--group-size, which compares means, or --scheme plaintext"
    )
    raise ConfigurationError(f"{rule} compares single updates, and {scheme} hides them; use {instead}")


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
    """The rule that stands in for the mean. It compares single updates, which only plaintext shows; or encrypted
    distances (multi-krum on ckks); or, with group_size, means of groups under any scheme."""
    byzantine: Annotated[int, Field(ge=0, le=MAX_BANKS)] = 0
    """How many banks may send anything (f); with an attack, so many do: the last ones."""
    group_size: Annotated[int, Field(ge=MIN_BANKS, le=MAX_BANKS)] | None = None
    """Banks are divided at random into groups of so many or more, each with a secure sum, and the rule compares the
    groups' means; f byzantine banks spoil f groups."""
    proofs: bool = False
    """Under additive, each bank proves to all who hold its shares that its update lies in range (and under norm_bound),
    without showing it; one that cannot is left out by name."""
    norm_bound: Annotated[float, Field(gt=0, le=CLIP_RANGE[1])] | None = None
    """Longest update (L2) that is taken, with proofs or with multi-krum on ckks; honest banks scale theirs down before
    they round, and 1.5 sqrt(parameters) quantization steps more are taken for that."""
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

    @property
    def groups(self) -> int:
        """Into how many groups the banks are divided."""
        return 1 if self.group_size is None else self.banks // self.group_size

    def way(self, scheme: str) -> Way:
        """What the rule sees under a scheme. Raises `ConfigurationError`."""
        return way_of(self.robust, scheme, grouped=self.group_size is not None)

    @property
    def alike(self) -> bool:
        """Whether every bank counts the same and says nothing of itself, because nobody believes what it says."""
        return self.robust != "none" or self.proofs

    def check_proofs(self, scheme: str) -> None:
        """Raises `ConfigurationError` where nothing could be proved, or where nobody would check a norm."""
        if self.proofs and (scheme != "additive" or self.robust != "none"):
            raise ConfigurationError(
                "proofs are of single updates that are shared and averaged; use them with --scheme additive and "
                "without --robust"
            )
        by_distances = self.robust != "none" and self.way(scheme) == "distances"
        if self.norm_bound is not None and not self.proofs and not by_distances:
            raise ConfigurationError(
                "nobody would check a norm bound; add --scheme additive --proofs, or --scheme ckks --robust multi-krum"
            )

    def check_rule(self, scheme: str) -> None:
        """Raises `ConfigurationError` where the rule could not work: too few banks, or a scheme that hides updates."""
        if self.way(scheme) != "groups":
            return require_enough(self.robust, self.banks, self.byzantine)
        least = least_banks(self.robust, self.byzantine)
        if self.groups < least:
            raise ConfigurationError(
                f"{self.robust} needs {least} groups where {self.byzantine} are byzantine, and {self.banks} banks with "
                f"a group size of {self.group_size} make {self.groups}; use at least {least * (self.group_size or 0)} "
                "banks, smaller groups or fewer byzantine"
            )
        return None
