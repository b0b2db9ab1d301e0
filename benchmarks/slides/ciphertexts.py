"""Slides of encryption: CKKS from numbers to a ciphertext and back, and fields side by side in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.slides.record import BITS, MODEL, THRESHOLD, UPDATES
from benchmarks.slides.sheet import ACCENT, GREEN, MARGIN, PALE, SKY, SOFT, WARM, WHITE, Sheet
from benchmarks.slides.small_sum import BANKS
from secure_fl.secagg.budget.bfv import plan_bfv
from secure_fl.secagg.budget.ckks import plan_ckks
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.packing import pack_fields, unpack_fields

TO_PACK = ((201, 77, 18), (9, 250, 140), (113, 64, 255))
FIELDS = (SKY, PALE, WHITE)


def ckks(recorded: dict[str, Any]) -> str:
    """One slot of three banks, its way through CKKS."""
    run, plan = recorded["ckks"], plan_ckks(BANKS, MODEL, BITS, THRESHOLD)
    sheet = Sheet(
        "CKKS: numbers, a slot, a ciphertext, and back",
        "The noise depends on the secret key. It is rounded away before anybody sees a sum.",
    )
    words = sum(plan.coefficients) // plan.ciphertexts
    columns = (MARGIN, 350, 790)
    for x, head in zip(
        columns, ("three numbers", "in one slot, centred", f"ciphertext: first 2 of {words:,} words"), strict=True
    ):
        sheet.text(x, 190, head, size=28, color=SOFT)
    rows = zip(UPDATES, run["slots"], run["words"], strict=True)
    for place, (update, slot, first_words) in enumerate(rows):
        y = 252 + 66 * place
        sheet.text(columns[0], y, ", ".join(map(str, update)), size=36)
        sheet.text(columns[1], y, f"{slot:,}", size=36, mono=True)
        sheet.text(columns[2], y, "  ".join(f"{c:,}" for c in first_words), size=28, mono=True, color=SOFT)
    opened, rounded = run["opened"], round(run["opened"])
    slots = np.zeros(plan.slots)
    slots[0] = opened
    total = decode_slots(plan, slots, BANKS)
    first = tuple(int(total[field * plan.slots]) for field in range(plan.fields_per_slot))
    assert first == tuple(np.sum(UPDATES, axis=0).tolist())
    sheet.text(columns[0], 470, "added as ciphertexts, opened by the key authority:", size=32)
    sheet.text(columns[2], 538, f"{opened:,.6f}", size=40, mono=True, color=WARM)
    sheet.text(columns[0], 538, "the slot, with noise", size=32, color=SOFT)
    sheet.text(columns[2], 606, f"{rounded:,}", size=40, mono=True, color=ACCENT)
    sheet.text(columns[0], 606, "rounded to an integer", size=32, color=SOFT)
    sheet.text(columns[2], 674, f"{rounded + BANKS * plan.centre:,}", size=40, mono=True, color=ACCENT)
    sheet.text(columns[0], 674, f"plus {BANKS} times the centre of {plan.centre:,}", size=32, color=SOFT)
    sheet.text(columns[2], 742, ", ".join(map(str, first)), size=44, weight=600, color=GREEN)
    sheet.text(columns[0], 742, "taken apart: the three sums, exactly", size=32, color=SOFT)
    return sheet.svg()


def packing(recorded: dict[str, Any]) -> str:
    """Three fields in a coefficient of BFV's, digits to a base above the largest sum."""
    plan = plan_bfv(BANKS, MODEL, BITS, THRESHOLD)
    fields, base = len(TO_PACK[0]), plan.field_base
    slots = [int(pack_fields(np.array(update), fields, base)[0]) for update in TO_PACK]
    total = unpack_fields(np.array([sum(slots)]), fields, base, fields).tolist()
    assert total == np.sum(TO_PACK, axis=0).tolist()
    sheet = Sheet(
        "Packing: three numbers in one coefficient",
        f"They are digits to the base {base}. No sum of {BANKS} numbers of {BITS} bits gets there: one addition adds "
        "all, nothing is carried.",
    )
    for place, (name, numbers, slot) in enumerate(
        zip((*(f"bank-{bank}" for bank in range(1, BANKS + 1)), "sum"), (*TO_PACK, total), (*slots, sum(slots)),
            strict=True)
    ):  # fmt: skip
        y = 180 + 146 * place
        last = name == "sum"
        sheet.text(MARGIN, y + 58, name, size=36, weight=600 if last else 400)
        for field, number in enumerate(reversed(numbers)):
            x = 250 + 300 * field
            sheet.box(x, y, 290, 96, fill=FIELDS[field], color=ACCENT if last else SOFT)
            sheet.text(x + 145, y + 44, f"{number}", size=34, anchor="middle", weight=600)
            worth = f"× {base:,}²" if field == 0 else f"× {base:,}" if field == 1 else "× 1"
            sheet.text(x + 145, y + 82, worth, size=28, anchor="middle", mono=True, color=SOFT)
        sheet.text(1520, y + 58, f"= {slot:,}", size=34, anchor="end", mono=True, color=ACCENT if last else SOFT)
    return sheet.svg()
