"""The door through which an audit's figures leave a bank: exact secure sums under the scheme of the run.

Two things are no sums and each bank's own word: how far SHAP values miss scores at most, and whether a detector fired.

Numbers are integers, or real numbers rounded to multiples of 2**-20 row by row, so that a sum is the same in whatever
order and by whatever bank it is added. A vector's integers travel as digits (`codec.digits`): whoever opens the sum
sees the sum of each digit over the banks, and nothing of one bank beyond what the sum itself says.

The sandbox plays all parties, so it adds the same integers in the clear too, and refuses a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.averaging import secure_sum
from secure_fl.codec.digits import IntegerCodec
from secure_fl.errors import AuditError, DataError
from secure_fl.secagg.budget import Committee
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.schemes import scheme_of
from secure_fl.settings import Experiment

FRACTION_BITS = 20
LARGEST = 1 << 39
"""Beyond it an integer does not fit `IntegerCodec`."""
DIGIT_BITS = 8
"""Every scheme can add digits so small, of as many banks as there may be."""


def to_integers(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Real numbers of any shape as multiples of 2**-20, rounded to the nearest."""
    scaled = np.rint(values * float(1 << FRACTION_BITS))
    if not np.isfinite(scaled).all() or (np.abs(scaled) >= LARGEST).any():
        raise DataError("a figure of the audit is not finite, or too large to add up; look at the model's scores first")
    return scaled.astype(np.int64)


def to_reals(integers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Inverse of `to_integers`, but for the rounding."""
    return integers / float(1 << FRACTION_BITS)


@dataclass(frozen=True)
class MadeSum:
    """One secure sum, in numbers that anybody may know."""

    what: str
    numbers: int
    upload_bytes: int
    """Of the bank that sent most."""
    equals_plaintext: bool


@dataclass
class SecureSums:
    """All sums of an audit."""

    scheme: str
    threshold: int | None = None
    """The fewest banks whose sum may be opened; None: the scheme's own."""
    committee: Committee | None = None
    """Who holds what opens a sum, where that was asked for."""
    witnesses: int = 0
    """Who vouch to a key authority for what it opens."""
    made: list[MadeSum] = field(default_factory=list)

    @classmethod
    def of(cls, experiment: Experiment) -> SecureSums:
        """As the run summed its updates."""
        return cls(experiment.scheme, experiment.threshold, experiment.committee, experiment.witnesses)

    @property
    def custody(self) -> Custody:
        """Who can read what of the sums."""
        return scheme_of(self.scheme, self.committee, self.witnesses).custody

    def add(self, what: str, vectors: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """The exact sum over banks of one vector of integers a bank, all of one shape, each within +-2**39."""
        if any((np.abs(vector) >= LARGEST).any() for vector in vectors):
            raise DataError(f"a bank's {what} are too large to add up; audit fewer rows, for SHAP values with --rows")
        shape, count = vectors[0].shape, vectors[0].size
        codec = IntegerCodec(count, DIGIT_BITS)
        digits = [codec.encode(vector.ravel()) for vector in vectors]
        holders, quorum = (self.committee.members, self.committee.quorum) if self.committee else (None, None)
        summed = secure_sum(
            digits, self.scheme, DIGIT_BITS, self.threshold, holders=holders, quorum=quorum, witnesses=self.witnesses
        )
        total = codec.decode(summed.total, len(summed.contributors)).reshape(shape)
        plain = np.sum(vectors, axis=0)
        if not np.array_equal(total, plain):
            raise AuditError(f"the secure sum of {what} is not the sum of what the banks sent; report this defect")
        self.made.append(MadeSum(what, count, max(summed.upload_bytes.values()), equals_plaintext=True))
        return total
