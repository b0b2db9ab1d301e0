"""Every number of a secure sum: three banks with four numbers each, under shares, under masks and under encryption.

.venv/bin/python examples/00_every_number.py
"""

import numpy as np

from secure_fl.secagg import simulate
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import combine, split

# Keys are fixed here, so that everybody sees the same numbers. Real ones come from the operating system, for each sum.
updates = np.array([[3, 14, 15, 92], [65, 35, 89, 79], [32, 38, 46, 26]], dtype=np.uint16)
banks = ("bank-1", "bank-2", "bank-3")


def show(who: str, what: str, numbers: np.ndarray) -> None:
    print(f"  {who:<11} {what:<29} {' '.join(f'{int(number):6}' for number in numbers)}")


def mask(seed: bytes) -> np.ndarray:
    drawn = np.zeros(4, dtype=np.uint16)
    add_mask(drawn, seed)  # AES-256 in counter mode, numbers modulo 2**16
    return drawn


print("SHARES: a bank's numbers are split in two, and either half alone is random")
halves = np.array([mask(bytes([7 + place]) * 32) for place in range(3)])
for place, bank in enumerate(banks):
    show(bank, "has", updates[place])
    show("", "sends to the share-holder", halves[place])
    show("", "sends to the aggregator", updates[place] - halves[place])
show("share-holder", "adds what it got", halves.sum(axis=0, dtype=np.uint16))
show("aggregator", "adds what it got", (updates - halves).sum(axis=0, dtype=np.uint16))
show("both", "add these two", updates.sum(axis=0, dtype=np.uint16))

print("MASKS: two banks agree on a mask, which one adds and the other subtracts")
keys = [AgreementKey(bytes([9 + place]) * 32) for place in range(3)]
uploads = updates.copy()
for one, other in ((0, 1), (0, 2), (1, 2)):
    seed = keys[one].agree(keys[other].public, b"this sum only")
    assert seed == keys[other].agree(keys[one].public, b"this sum only"), "both derive the same 32 bytes"
    show(f"{one + 1} and {other + 1}", "agree on", mask(seed))
    add_mask(uploads[one], seed)
    subtract_mask(uploads[other], seed)
for place, bank in enumerate(banks):
    show(bank, "sends", uploads[place])
show("aggregator", "adds: masks cancel", uploads.sum(axis=0, dtype=np.uint16))

print("A BANK VANISHES: the others hold shares of its key, two of which open it")
shares = split(keys[1].secret(), points=[1, 3], threshold=2)
print(f"  bank-1 and bank-3 together open the key of bank-2: {combine(shares, 2) == keys[1].secret()}")

print("ENCRYPTION: the aggregator adds ciphertexts, and the key authority opens the sum alone")
outcome = simulate("ckks", updates, bits=8)
print(f"  each bank sends {outcome.upload_bytes[0]:,} bytes that nobody reads")
show("all", "read, exactly", outcome.total)
