"""All pairs of seeds; the right one leaves numbers below 256 in all places."""

import numpy as np

RING, LENGTH = 1 << 16, 8
MASKS = np.array([np.random.default_rng(seed).integers(0, RING, LENGTH) for seed in range(1 << 12)])


def recover(seen: dict[str, list[int]]) -> list[int]:
    upload = np.array(seen["bank_2"])
    for minus in MASKS:  # upload = x - mask with bank 1 + mask with bank 3
        left = (upload + minus - MASKS) % RING
        found = np.flatnonzero((left < 256).all(axis=1))
        if len(found):
            return [int(number) for number in left[found[0]]]
    return [0] * LENGTH
