"""One secure sum: five banks, one of which vanishes, and an aggregator that cannot read what it adds.

.venv/bin/python examples/01_one_secure_sum.py
"""

import numpy as np

from secure_fl.secagg import SCHEMES, simulate

# A row of integers for each bank. Rows count from 0 and banks from 1: row 3 is that of bank-4, which never sends it.
updates = np.random.default_rng(0).integers(0, 256, size=(5, 10_000))
outcome = simulate("ckks", updates, bits=8, drop={3: "upload"})

rows = sorted(outcome.contributors)
assert np.array_equal(outcome.total, updates[rows].sum(axis=0)), "a secure sum is exact or an error"
print(f"in the sum: {', '.join(outcome.names)}; it is exact")
for message in outcome.transcript:
    print(f"{message.stage:12} {message.sender:>14} -> {message.recipient:14} {message.nbytes:>9,} bytes")
for party, reads in SCHEMES["ckks"].custody.can_decrypt.items():
    print(f"{party} can read: {'; '.join(reads) or 'nothing'}")
