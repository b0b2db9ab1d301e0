"""WEAK ON PURPOSE, never use it: a key exchange without authentication.

Banks agree on a mask with each other by X25519, by way of the aggregator. Nobody signs the public keys, so the
aggregator hands out one of its own. Bonawitz et al. (CCS 2017, section 6) have banks sign, with keys from a list that
the aggregator does not control; `secure_fl` refuses a key without such a signature.
"""

from __future__ import annotations

import secrets

import numpy as np

from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import add_mask

TITLE = "Keys that nobody signed"
GOAL = "you are the aggregator, and gave bank 2 a public key of yours as bank 1's: recover bank 2's update, 8 numbers"
PURPOSE = b"mask"


def instance() -> tuple[dict[str, str | list[int]], list[int]]:
    mine = AgreementKey()
    return _upload(mine.public, mine)


def strong() -> tuple[dict[str, str | list[int]], list[int]]:
    """Bank 2 insists on bank 1's own key."""
    return _upload(AgreementKey().public, AgreementKey())


def _upload(believed: bytes, mine: AgreementKey) -> tuple[dict[str, str | list[int]], list[int]]:
    bank_2 = AgreementKey()
    update = [secrets.randbelow(256) for _ in range(8)]
    vector = np.array(update, dtype=np.uint16)
    add_mask(vector, bank_2.agree(believed, PURPOSE))
    seen: dict[str, str | list[int]] = {
        "my_secret": mine.secret().hex(),
        "public_of_bank_2": bank_2.public.hex(),
        "upload": vector.tolist(),
    }
    return seen, update
