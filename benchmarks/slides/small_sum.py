"""One number of each of three banks, summed under shares and under masks by the package's own code.

Keys and seeds are fixed, so that slides stay the same. Real ones come from the
operating system, for each sum.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import add_mask, subtract_mask

BANKS, RING_BITS = 3, 16
MODULUS = 1 << RING_BITS
NUMBERS = (314, 1592, 653)
Word = NDArray[np.uint16]


def fixed(what: str) -> bytes:
    """32 bytes that look like the operating system's, and are the same each time."""
    return hashlib.sha256(f"slides: {what}".encode()).digest()


def word(number: int) -> Word:
    return np.array([number], dtype=np.uint16)


def shares(number: int, seeds: tuple[bytes, ...]) -> list[int]:
    """One for each seed, and what is left."""
    rest, drawn = word(number), []
    for seed in seeds:
        share = word(0)
        add_mask(share, seed)
        subtract_mask(rest, seed)
        drawn.append(int(share[0]))
    return [*drawn, int(rest[0])]


def all_shares() -> list[list[int]]:
    """[bank][holder]: two share-holders, then the aggregator."""
    return [
        shares(number, tuple(fixed(f"share of bank-{bank + 1} for share-holder-{holder}") for holder in (1, 2)))
        for bank, number in enumerate(NUMBERS)
    ]


def mask_key(bank: int) -> AgreementKey:
    """Banks are numbered from 1."""
    return AgreementKey(fixed(f"mask key of bank-{bank}"))


def pairwise_mask(bank: int, other: int) -> int:
    """What `bank` adds for `other`, modulo 2**16: the one with the lower number adds, the other one subtracts."""
    seed = mask_key(bank).agree(mask_key(other).public, b"slides")
    mask = word(0)
    (add_mask if bank < other else subtract_mask)(mask, seed)
    return int(mask[0])


def masked(bank: int) -> int:
    """A bank's number under its pairwise masks."""
    others = (other for other in range(1, BANKS + 1) if other != bank)
    return (NUMBERS[bank - 1] + sum(pairwise_mask(bank, other) for other in others)) % MODULUS
