"""What a slide shows of one run that nobody can repeat: Shamir's shares, and CKKS from numbers to slots and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.slides.small_sum import BANKS, mask_key
from secure_fl.secagg.budget.ckks import plan_ckks
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.shamir import split
from secure_fl.secagg.he.encoding import decode_slots, encode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.words import Adder, pack_upload

STORED = Path(__file__).parents[2] / "docs" / "figures" / "slides.json"
MODEL, BITS, THRESHOLD = 10_369, 8, 2
UPDATES = ((3, 14, 15), (65, 35, 89), (32, 38, 46))
"""Three numbers of each of three banks, as they stand side by side in the first slot."""


def record() -> dict[str, Any]:
    """Run what depends on fresh keys, once."""
    return {"shares": shares(), "ckks": ckks()}


def shares() -> dict[str, str]:
    """Of bank-2's mask key, one for each bank, hexadecimal."""
    points = range(1, BANKS + 1)
    return {str(point): share.hex() for point, share in split(mask_key(2).secret(), points, THRESHOLD).items()}


def ckks() -> dict[str, Any]:
    """The first slot of each bank under the plan of the fraud model, its ciphertext, and the sum as it was opened."""
    plan = plan_ckks(BANKS, MODEL, BITS, THRESHOLD)
    secret = SecretContext(plan.parameters_of_context)
    public = PublicContext.load(secret.public_key(), plan.parameters_of_context)
    updates = np.zeros((BANKS, MODEL), dtype=np.int64)
    for field, numbers in enumerate(zip(*UPDATES, strict=True)):
        updates[:, field * plan.slots] = numbers
    slots = [encode_slots(plan, update) for update in updates]
    encrypted = [Halves(*public.encrypt(rows)) for rows in slots]
    uploads, adder = [b"".join(pack_upload(plan, halves)) for halves in encrypted], Adder(plan)
    for upload in uploads:
        adder.add(memoryview(upload))
    opened = secret.decrypt(*adder.total())
    assert (decode_slots(plan, opened, BANKS) == updates.sum(axis=0)).all()
    return {
        "slots": [int(rows[0][0]) for rows in slots],
        "words": [halves.first[:2].tolist() for halves in encrypted],
        "bytes": list(map(len, uploads)),
        "opened": float(opened[0]),
    }


def write() -> None:
    STORED.write_text(json.dumps(record(), indent=1) + "\n", encoding="utf-8")


def stored() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return recorded
