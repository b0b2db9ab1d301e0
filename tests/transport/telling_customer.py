"""`python -m secure_fl score`, by a customer that writes its secrets beside its scores for a test to search, and stays.

What it writes: `secret`, its secret key as SEAL holds it; `features`, of its rows, float64, one column after the other,
as they are encrypted.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from secure_fl.__main__ import main
from secure_fl.scoring import data_owner
from secure_fl.scoring.hazmat.objects import _secret_key_bytes
from secure_fl.scoring.hazmat.secret import SecretKey
from secure_fl.scoring.network import Matrix, Vector
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.scoring.plans import ScoringPlan
from secure_fl.secagg.hazmat.he_layout import uncompressed
from secure_fl.secagg.hazmat.he_words import saved
from secure_fl.transport.scores import customer

KEPT: list[object] = []
"""What would be gone once all is scored."""


def tell(name: str, data: bytes) -> None:
    staged = Path(f".{name}")
    staged.write_bytes(data)
    staged.rename(name)


class TellingKey(SecretKey):
    """Says what it is."""

    def __init__(self, parameters: CkksParameters) -> None:
        super().__init__(parameters)
        _, body = uncompressed(memoryview(saved(self._key)), _secret_key_bytes(parameters))
        tell("secret", bytes(body))
        KEPT.append(self)


class TellingOwner(data_owner.DataOwner):
    """Says what it encrypts."""

    def _encrypted(self, rows: Matrix) -> bytes:
        columns = np.ascontiguousarray(rows.T)
        tell("features", columns.tobytes())
        KEPT.append(columns)
        return super()._encrypted(rows)


def stay(plan: ScoringPlan, logits: Vector) -> None:
    """In the place of a check, once all is scored."""
    tell("scored", b"")
    time.sleep(600)


if __name__ == "__main__":
    setattr(data_owner, "SecretKey", TellingKey)  # noqa: B010
    setattr(customer, "DataOwner", TellingOwner)  # noqa: B010
    setattr(customer, "_require_within", stay)  # noqa: B010
    main()
