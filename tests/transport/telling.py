"""`python -m secure_fl bank | key-authority`, by a party that writes its secrets beside its file for a test to search.

What it writes: `NAME.secret`, 32 words of the secret key of `ckks`; `NAME.part-N`, 64 coefficients of each part of a
committee's key that is applied to a sum; `NAME-ROUND.values`, a bank's quantized update.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from secure_fl.__main__ import main
from secure_fl.secagg.hazmat.collective_secret import KeyPart
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he import secret_keys
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import Words
from secure_fl.secagg.protocol import Party, Values
from secure_fl.transport.halves import BankHalves

CONFIG = Path(sys.argv[-1])
COEFFICIENTS = 64


def tell(name: str, data: bytes) -> None:
    staged = CONFIG.parent / f".{name}"
    staged.write_bytes(data)
    staged.rename(CONFIG.parent / name)


class TellingContext(SecretContext):
    """Says some of its key."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        words = self._context.secret_key().data.data()
        tell(f"{CONFIG.stem}.secret", np.array([words[1000 + i] for i in range(32)], dtype="<u8").tobytes())


honest, honest_times = BankHalves.client, KeyPart.times
PARTS: list[KeyPart] = []


def telling_times(self: KeyPart, second: Words) -> Words:
    if not any(self is part for part in PARTS):
        PARTS.append(self)
        coefficients = self._ternary[1000 : 1000 + COEFFICIENTS]
        tell(f"{CONFIG.stem}.part-{len(PARTS)}", coefficients.tobytes())
    return honest_times(self, second)


def telling_client(self: BankHalves, cohort: Cohort[Any], values: Values) -> Party:
    tell(f"{CONFIG.stem}-{cohort.round}.values", values.astype("<i8").tobytes())
    return honest(self, cohort, values)


if __name__ == "__main__":
    setattr(secret_keys, "SecretContext", TellingContext)  # noqa: B010 - mypy lets nobody assign to a class or a method
    setattr(KeyPart, "times", telling_times)  # noqa: B010 - mypy lets nobody assign to a class or a method
    setattr(BankHalves, "client", telling_client)  # noqa: B010 - mypy lets nobody assign to a class or a method
    main()
