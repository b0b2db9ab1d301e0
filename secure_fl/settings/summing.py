"""Settings of the secure sum."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from secure_fl.codec.quantization import CLIP_RANGE, RANGE_MARGIN
from secure_fl.errors import ConfigurationError, PlanError
from secure_fl.secagg.attempts import ATTEMPTS
from secure_fl.secagg.budget import FLOAT32, MAX_BITS, MIN_BITS, Committee
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.schemes import SCHEMES, scheme_of
from secure_fl.settings.banks import Banks


class Summing(Banks):
    """Secure sum: of the banks' updates."""

    scheme: str = "ckks"
    """plaintext, additive, masked, ckks, bfv or rlwe (experimental)."""
    bits: Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)] | Literal["float32"] = 16
    """Of a weight in an update: 4 to 24, or float32 (plaintext only)."""
    threshold: int | None = None
    """The fewest banks whose sum is opened; a majority where nothing is said."""
    holders: int | None = None
    """How many hold what opens a sum (additive, ckks, bfv): 2 to 7. By default 2, or a key authority."""
    quorum: int | None = None
    """How many of the holders open a sum, so that others can be silent; a majority of them where nothing is said."""
    witnesses: int = 0
    """How many vouch to the key authority (ckks, bfv, rlwe) that it opens a sum of what banks signed: 0 to 7."""
    fresh_keys: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """After how many rounds key authority or holders make new keys; where nothing is said one key is for all rounds."""
    attempts: Annotated[int, Field(ge=1, le=100)] = ATTEMPTS
    """How often the sum of a round is attempted; each time with fresh keys, without banks that were to blame."""
    error_feedback: bool = False
    """Banks carry over to the next round what quantization took from their update."""
    downlink: Literal["weights", "sum"] = "weights"
    """How the model reaches the banks: float32 weights, or the integers of the last sum (smaller, and exact)."""
    initial_clip: Annotated[float, Field(ge=CLIP_RANGE[0], le=CLIP_RANGE[1])] | None = None
    """Clip range of the first round; twice what Adam moves a weight by in a round where nothing is said."""
    clip_margin: Annotated[float, Field(ge=1, le=1e6)] = RANGE_MARGIN
    """Of later rounds: how much larger than the largest value of the last mean; doubled instead where banks clipped."""

    @property
    def committee(self) -> Committee | None:
        """Who holds what opens a sum, where that was asked for. Raises `PlanError`."""
        return Committee.asked(self.holders, self.quorum)

    @property
    def kind(self) -> Scheme:
        """The scheme, with its committee or its witnesses. Raises `PlanError`."""
        return scheme_of(self.scheme, self.committee, self.witnesses)

    def check_sums(self, rounds: int) -> None:
        """Raises `ConfigurationError` where no sum could be made."""
        if self.scheme not in SCHEMES:
            raise ConfigurationError(f"there is no scheme {self.scheme!r}; choose one of {', '.join(sorted(SCHEMES))}")
        try:
            kind = self.kind
        except PlanError as error:
            raise ConfigurationError(str(error)) from None
        if self.bits == FLOAT32 and not kind.takes_float32:
            raise ConfigurationError(f"{self.scheme} sums integers; use {MIN_BITS} to {MAX_BITS} bits, not float32")
        if self.bits == FLOAT32 and (self.error_feedback or self.downlink == "sum"):
            raise ConfigurationError(
                "float32 is not quantized, so it has no rounding to feed back and no integer sum to send down; use "
                f"{MIN_BITS} to {MAX_BITS} bits, or leave out error_feedback and downlink"
            )
        if self.fresh_keys is not None and not kind.trustees:
            raise ConfigurationError(
                f"{self.scheme} has no key that lasts longer than an attempt; leave out fresh_keys"
            )
        if self.threshold is not None and not self.banks // 2 < self.threshold <= self.banks:
            raise ConfigurationError(
                f"a threshold of {self.threshold} is refused; use {self.banks // 2 + 1} to {self.banks} for "
                f"{self.banks} banks"
            )
        self.check_drops(rounds, kind)

    def check_noise(self) -> None:
        """Raises `ConfigurationError` where banks could not add shares of noise to what is summed."""
        if self.error_feedback:
            raise ConfigurationError(
                "error feedback would carry a bank's own noise over and cancel it; leave out error_feedback"
            )
        if self.bits == FLOAT32:
            raise ConfigurationError(f"noise is added to integers; use {MIN_BITS} to {MAX_BITS} bits, not float32")
