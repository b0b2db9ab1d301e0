"""A privacy budget: noise calibrated to it, a ledger that spends it, and what is refused when it is gone, or lost.

.venv/bin/python examples/06_spending_a_budget.py
"""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from secure_fl import Experiment, run_federation
from secure_fl.errors import PrivacyError
from secure_fl.privacy.accounting import SampledGaussian, calibrate, epsilon, epsilon_table
from secure_fl.privacy.federation import STATISTICS_NOISE
from secure_fl.privacy.ledger import LEDGER, Ledger

BUDGET, DELTA, ROUNDS = 3.0, 1e-4, 3
ROWS, BATCH, STEPS = 2_600, 512, 5  # no bank of the federation below has fewer rows; one pass is 5 batches

# A bank releases noisy statistics of all its rows once, and then one noisy sum a step, over a random sample of them.
# So much noise in the steps keeps everything together within the budget:
statistics = SampledGaussian(STATISTICS_NOISE, sample_rate=1.0, steps=1)
noise = calibrate(lambda m: [statistics, SampledGaussian(m, BATCH / ROWS, STEPS * ROUNDS)], BUDGET, DELTA)
one_round = SampledGaussian(noise, BATCH / ROWS, STEPS)
print(f"{ROUNDS} rounds of {STEPS} steps need noise of {noise:.3f} times what a row can change a sum by")
table = epsilon_table([statistics] + [one_round] * ROUNDS, DELTA)
print("which costs, by accountant:", ", ".join(f"{name} {value:.3f}" for name, value in table.items()))


def cost(events: Sequence[SampledGaussian]) -> float:
    """What the ledger asks before each release."""
    return epsilon(events, DELTA)


with TemporaryDirectory() as folder:
    place = Path(folder) / "bank-1"
    ledger = Ledger("bank-1", DELTA, BUDGET, cost, place)
    ledger.charge("round 0", context=b"statistics", event=statistics, repeats=False)
    ledger.charge("round 1", context=b"hash of the model", event=one_round)
    spent = ledger.epsilon
    print(f"after round 1: epsilon {spent:.3f}")

    # The bank stops and starts again. What it has spent lies on disk, and a round that is made again (same model, same
    # seed, so the very same noise) costs nothing.
    ledger = Ledger.restore("bank-1", DELTA, BUDGET, cost, place)
    ledger.charge("round 1", context=b"hash of the model", event=one_round)
    assert ledger.epsilon == spent
    print(f"after a restart, round 1 once more: still epsilon {ledger.epsilon:.3f}")

    # One round more than the noise was calibrated for is refused, and not entered.
    for number in range(2, ROUNDS + 2):
        try:
            ledger.charge(f"round {number}", context=b"hash of the model", event=one_round)
            print(f"after round {number}: epsilon {ledger.epsilon:.3f}")
        except PrivacyError as refusal:
            assert number == ROUNDS + 1
            print(f"refused: {refusal}")

    (place / LEDGER).unlink()
    try:
        Ledger.restore("bank-1", DELTA, BUDGET, cost, place)
    except PrivacyError as refusal:
        print(f"refused: {refusal}")

# A federation does all of this by itself: given the noise, as here, it says what that costs; given epsilon=3.0 instead,
# it calibrates the noise of each bank. (So few rows learn nothing under it; docs/privacy.md shows what 60,000 do.)
federation = Experiment(
    dataset="simulated", transactions=12_000, fraud_share=0.02, banks=3, scheme="masked", rounds=ROUNDS,
    batch_size=BATCH, noise_multiplier=noise, delta=DELTA,
)  # fmt: skip
with TemporaryDirectory() as life:  # its ledgers for life; without these two lines they are among the user's data
    os.environ |= {"SECURE_FL_LEDGERS": f"{life}/store", "SECURE_FL_LEDGER_NOTES": f"{life}/notes"}
    first, result = run_federation(federation), run_federation(federation.model_copy(update={"rounds": 1}))
    assert first.privacy is not None
    assert result.privacy is not None
    print("spent after each round:", ", ".join(f"{record.epsilon:.3f}" for record in first.rounds))
    print("for life, with a second run on the same rows:", f"{max(result.privacy.lifetime_epsilon.values()):.3f}")
    try:  # Whoever sets a limit for life is refused before anything is released.
        run_federation(federation.model_copy(update={"lifetime_epsilon": BUDGET}))
    except PrivacyError as refusal:
        print(f"refused: {refusal}")

# Nobody has to believe the figure: it follows from what is written to metrics.json.
for bank in first.privacy.banks:
    training = SampledGaussian(bank.noise_multiplier, bank.sample_rate, bank.steps)
    again = epsilon([statistics, training], DELTA, "pld")
    print(f"{bank.bank}: epsilon {bank.epsilon:.3f}, by another accountant {again:.3f}")
    assert bank.epsilon <= BUDGET
