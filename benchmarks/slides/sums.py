"""Slides of sums: one round, additive shares, pairwise masks, a dropout."""

from __future__ import annotations

from typing import Any

from benchmarks.slides.sheet import ACCENT, GREEN, INK, MARGIN, SOFT, WARM, WIDTH, Sheet
from benchmarks.slides.small_sum import BANKS, MODULUS, NUMBERS, all_shares, mask_key, masked, pairwise_mask
from secure_fl import Experiment
from secure_fl.codec.quantization import make_codec
from secure_fl.report.wording import plural
from secure_fl.secagg import plan
from secure_fl.secagg.budget.he import SealPlan
from secure_fl.secagg.hazmat.shamir import combine
from secure_fl.training import initial_weights


def one_round(recorded: dict[str, Any]) -> str:
    """The default run: three banks, an aggregator, a key authority."""
    experiment = Experiment()
    weights = len(initial_weights(experiment.seed))
    length = make_codec(weights, int(experiment.bits), clip=1.0, mean_examples=1.0).length
    planned = plan(experiment.scheme, experiment.banks, length, experiment.bits, experiment.threshold)
    assert isinstance(planned, SealPlan)
    sheet = Sheet(
        "One round of a federation",
        "Rows never leave a bank. The aggregator adds what it cannot read; the key authority reads only the sum.",
    )
    for place, bank in enumerate(experiment.bank_names):
        y = 150 + 196 * place
        sheet.party(MARGIN, y, 430, 172, bank, "trains on its own rows", f"rounds to {planned.bits} bits, encrypts")
        sheet.arrow(MARGIN + 430, y + 50, 686, 416 + 30 * (place - 1))
    sheet.party(690, 310, 350, 212, "aggregator", "adds ciphertexts", "holds no secret key", "reads the sum alone")
    sheet.party(1180, 310, 340, 212, "key authority", "has the secret key", "opens one sum", "sees no upload")
    sheet.arrow(1040, 386, 1176, 386)
    sheet.arrow(1180, 452, 1044, 452, color=SOFT, dashed=True)
    sheet.text(690, 200, f"{weights:,} weights a bank: {plural(planned.ciphertexts, 'ciphertext')},", size=32)
    sheet.text(690, 246, f"about {planned.upload_bytes / 1000:.0f} kB up", size=32)
    sheet.line(865, 522, 865, 680, color=SOFT, width=4, dashed=True)
    sheet.line(865, 680, 560, 680, color=SOFT, width=4, dashed=True)
    sheet.line(560, 680, 560, 296, color=SOFT, width=4, dashed=True)
    for place in range(experiment.banks):
        sheet.arrow(560, 296 + 196 * place, MARGIN + 434, 296 + 196 * place, color=SOFT, dashed=True)
    sheet.text(900, 656, "the mean moves the model,", size=30, color=SOFT)
    sheet.text(900, 698, "and every bank gets the next one", size=30, color=SOFT)
    return sheet.svg()


def additive_shares(recorded: dict[str, Any]) -> str:
    table = all_shares()
    sums = [sum(column) % MODULUS for column in zip(*table, strict=True)]
    total = sum(sums) % MODULUS
    assert total == sum(NUMBERS)
    sheet = Sheet(
        "Additive shares: a number in three pieces",
        "Any two pieces of a number look random. All three holders together read every bank.",
    )
    head = ["", "has", "share-holder-1", "share-holder-2", "aggregator"]
    rows = [
        [f"bank-{bank}", f"{number:,}", *(f"{share:,}" for share in row)]
        for bank, (number, row) in enumerate(zip(NUMBERS, table, strict=True), start=1)
    ]
    sheet.table(220, (MARGIN, 500, 860, 1200, 1500), [head, *rows, ["each adds", "", *(f"{s:,}" for s in sums)]])
    sheet.text(MARGIN, 640, f"{' + '.join(f'{s:,}' for s in sums)} = {total:,}", size=44, color=ACCENT, weight=600)
    sheet.text(MARGIN, 696, f"modulo 2^16 = {MODULUS:,}: the sum of what the banks have.", size=32, color=SOFT)
    return sheet.svg()


def pairwise_masks(recorded: dict[str, Any]) -> str:
    sheet = Sheet(
        "Pairwise masks cancel in the sum",
        "Two banks derive one mask from their keys; one adds it, the other subtracts it. Nobody else knows it.",
    )
    banks = range(1, BANKS + 1)
    rows = [
        [f"bank-{bank}", f"{NUMBERS[bank - 1]:,}",
         *("" if other == bank else f"+ {pairwise_mask(bank, other):,}" for other in banks), f"{masked(bank):,}"]
        for bank in banks
    ]  # fmt: skip
    sent = sum(masked(bank) for bank in banks)
    assert sent % MODULUS == sum(NUMBERS)
    masks = sum(pairwise_mask(bank, other) for bank in banks for other in banks if other != bank)
    assert masks % MODULUS == 0
    head = ["", "has", "mask with 1", "mask with 2", "mask with 3", "sends"]
    foot = ["the sum", f"{sum(NUMBERS):,}", "", "+ 0", "", f"{sent % MODULUS:,}"]
    sheet.table(220, (MARGIN, 460, 740, 1000, 1260, 1500), [head, *rows, foot])
    sheet.text(MARGIN, 640, f"All modulo 2^16 = {MODULUS:,}: to subtract a mask is to add {MODULUS:,} - mask.", size=32)
    own = "Not shown: one more mask of each bank's own, which hides an update that comes late."
    sheet.text(MARGIN, 692, own, size=32, color=SOFT)
    return sheet.svg()


def dropout(recorded: dict[str, Any]) -> str:
    """Bank-2 vanishes after it shared its key; its masks are left over in the sum of the others."""
    shares = {int(point): bytes.fromhex(share) for point, share in recorded["shares"].items()}
    opened = combine({point: shares[point] for point in (1, 3)}, 2)
    assert opened == mask_key(2).secret()
    left = (masked(1) + masked(3)) % MODULUS
    masks = (pairwise_mask(1, 2) + pairwise_mask(3, 2)) % MODULUS
    total = (left - masks) % MODULUS
    assert total == NUMBERS[0] + NUMBERS[2]
    sheet = Sheet(
        "A bank vanishes: two shares open its key",
        "Bank-2's own mask stays closed: if its update comes after all, that one still hides it.",
    )
    steps = (
        ("before", "bank-2 shares its mask key, two of three:", INK),
        ("then", "bank-2 vanishes. Its masks stay in what the others sent:", WARM),
        ("after", "the shares of bank-1 and bank-3 give the key, the key gives the masks:", GREEN),
    )
    for place, (when, words, color) in enumerate(steps):
        y = 190 + 210 * place
        sheet.text(MARGIN, y, when, size=34, weight=600, color=color)
        sheet.text(MARGIN + 180, y, words, size=34)
    for point, share in shares.items():
        x = MARGIN + 180 + 440 * (point - 1)
        sheet.text(x, 250, f"to bank-{point}", size=28, color=SOFT)
        sheet.text(x, 294, f"{share.hex()[2:14]}...", size=32, mono=True)
    sheet.text(MARGIN + 180, 470, f"{masked(1):,} + {masked(3):,} = {left:,}", size=44, mono=True, color=WARM)
    sheet.text(WIDTH - MARGIN, 470, "random", size=30, color=SOFT, anchor="end")
    sheet.text(MARGIN + 180, 670, f"{opened.hex()[:12]}...", size=32, mono=True)
    sheet.text(MARGIN + 180, 740, f"{left:,} - {masks:,} = {total:,}", size=44, mono=True, color=GREEN)
    sheet.text(WIDTH - MARGIN, 740, f"{NUMBERS[0]:,} + {NUMBERS[2]:,}", size=30, color=SOFT, anchor="end")
    return sheet.svg()
