"""Masks that cancel: seven banks, three vanish at different stages, and the sum over the others is exact.

.venv/bin/python examples/04_dropouts_and_masks.py
"""

import numpy as np

from secure_fl.errors import DropoutError
from secure_fl.secagg import SCHEMES, simulate

updates = np.random.default_rng(0).integers(0, 256, size=(7, 10_000))
print("stages:", ", ".join(SCHEMES["masked"].stages))

# Rows count from 0 and banks from 1. bank-1 and bank-2 vanish before their values are in the sum, bank-6 after: its
# mask is then opened by the others.
drop = {0: "share_keys", 1: "masked_input", 5: "unmask"}
outcome = simulate("masked", updates, bits=8, drop=drop)
rows = sorted(outcome.contributors)
assert np.array_equal(outcome.total, updates[rows].sum(axis=0)), "a secure sum is exact or an error"
for row, stage in drop.items():
    print(f"bank-{row + 1} vanished at {stage}")
print(f"the sum of {', '.join(outcome.names)} is exact")

upload = outcome.upload_bytes[3]
print(f"bank-4 sent {upload:,} bytes in all stages, {upload / updates.shape[1]:.1f} a parameter")

try:
    simulate("masked", updates, bits=8, drop={**drop, 2: "masked_input", 3: "masked_input"})
except DropoutError as refusal:
    print(f"two more gone: {refusal}")
