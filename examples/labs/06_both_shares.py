"""WEAK ON PURPOSE, never use it: banks that answer for whoever the aggregator names.

An upload is hidden twice: by a mask of the bank's own, whose seed is opened when the upload arrived, and by a mask
with another bank, whose seed is opened when it did not. Here nobody checks whether all were told the same, so the
aggregator tells some banks that bank 2 vanished and others that it did not. Bonawitz et al. (CCS 2017, figure 4,
round 3) have banks sign the list of survivors first.
"""

from __future__ import annotations

import secrets

import numpy as np

from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask
from secure_fl.secagg.hazmat.shamir import split

TITLE = "Both shares"
GOAL = "you are the aggregator, and have shares of both seeds, 2 of which open one: recover bank 2's update, 8 numbers"
Seen = dict[str, dict[int, str] | list[int]]


def instance() -> tuple[Seen, list[int]]:
    return _unmasking(told_both=True)


def strong() -> tuple[Seen, list[int]]:
    """All were told that bank 2's upload arrived."""
    return _unmasking(told_both=False)


def _unmasking(told_both: bool) -> tuple[Seen, list[int]]:
    update = [secrets.randbelow(256) for _ in range(8)]
    own, common = secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES)
    vector = np.array(update, dtype=np.uint16)
    add_mask(vector, own)
    add_mask(vector, common)
    of_own, of_common = split(own, [1, 2, 3, 4], 2), split(common, [1, 2, 3, 4], 2)
    seen: Seen = {
        "upload": vector.tolist(),
        "shares_of_own_seed": {point: of_own[point].hex() for point in (1, 3)},
        "shares_of_common_seed": {point: of_common[point].hex() for point in (2, 4)} if told_both else {},
    }
    return seen, update
