"""Masks that cancel: seven banks, three vanish at different stages, and the sum over the others is exact.

.venv/bin/python examples/04_dropouts_and_masks.py
"""

import numpy as np

from secure_fl.errors import DropoutError
from secure_fl.secagg import SCHEMES, simulate

updates = np.random.default_rng(0).integers(0, 256, size=(7, 10_000))
print("stages:", ", ".join(SCHEMES["masked"].stages))

# Banks 0 and 1 vanish before their values are in the sum, bank 5 after: its mask is then opened by the others.
drop = {0: "share_keys", 1: "masked_input", 5: "unmask"}
outcome = simulate("masked", updates, bits=8, drop=drop)
banks = sorted(outcome.contributors)
assert np.array_equal(outcome.total, updates[banks].sum(axis=0)), "a secure sum is exact or an error"
print(f"dropped {drop}: the sum over banks {banks} is exact")

upload = sum(message.nbytes for message in outcome.transcript if message.sender == "bank-4")
print(f"bank-4 sent {upload:,} bytes in all stages: {upload / updates.shape[1]:.2f} a parameter")

try:
    simulate("masked", updates, bits=8, drop={**drop, 2: "masked_input", 3: "masked_input"})
except DropoutError as refusal:
    print(f"two more gone: {refusal}")
