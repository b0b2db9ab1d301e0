"""A privacy budget: noise calibrated to it, a ledger that spends it, and what is refused when it is gone, or lost.

.venv/bin/python examples/06_spending_a_budget.py
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from secure_fl import Experiment, run_federation
from secure_fl.errors import PrivacyError
from secure_fl.privacy.accounting import SampledGaussian, calibrate, epsilon
from secure_fl.privacy.ledger import LEDGER, Ledger
from secure_fl.privacy.rows import STATISTICS_NOISE

BUDGET, DELTA, ROUNDS, BATCH, STEPS = 3.0, 1e-4, 3, 512, 5
ROWS = 2_600  # of the smallest bank; a round is one pass over them, in 5 batches

# A bank releases noisy statistics of all its rows once, and then one noisy sum a step, over a random sample of them.
# So much noise in the steps keeps everything together within the budget:
statistics = SampledGaussian(STATISTICS_NOISE, sample_rate=1.0, steps=1)
noise = calibrate(lambda m: [statistics, SampledGaussian(m, BATCH / ROWS, STEPS * ROUNDS)], BUDGET, DELTA)
one_round = SampledGaussian(noise, BATCH / ROWS, STEPS)
print(f"{ROUNDS} rounds of {STEPS} steps need noise of {noise:.3f} times what a row can change a sum by")

with TemporaryDirectory() as folder:
    place = Path(folder) / "bank-1"
    arguments = ("bank-1", DELTA, BUDGET, lambda events: epsilon(events, DELTA), place)
    ledger = Ledger(*arguments)
    ledger.charge("round 0", context=b"statistics", event=statistics, repeats=False)
    # One round more than the noise was calibrated for is refused, and not entered.
    for number in range(1, ROUNDS + 2):
        try:
            ledger.charge(f"round {number}", context=b"hash of the model", event=one_round)
            print(f"after round {number}: epsilon {ledger.epsilon:.3f}")
        except PrivacyError as refusal:
            print(f"refused: {refusal}")
    # What was spent lies on disk: a bank that starts again repeats a round for nothing, since its noise is the same.
    again = Ledger.restore(*arguments)
    again.charge("round 1", context=b"hash of the model", event=one_round)
    print(f"after a restart, round 1 once more: still epsilon {again.epsilon:.3f}")
    (place / LEDGER).unlink()
    try:
        Ledger.restore(*arguments)
    except PrivacyError as refusal:
        print(f"refused: {refusal}")

# A federation does all of this by itself, and remembers across runs. (With epsilon=3.0 it calibrates the noise, too.)
federation = Experiment(
    dataset="simulated", transactions=12_000, fraud_share=0.02, banks=3, scheme="masked", rounds=ROUNDS,
    batch_size=BATCH, noise_multiplier=noise, delta=DELTA,
)  # fmt: skip
with TemporaryDirectory() as life:  # its ledgers for life; without the next line they are among the user's data
    os.environ |= {"SECURE_FL_LEDGERS": f"{life}/store", "SECURE_FL_LEDGER_NOTES": f"{life}/notes"}
    result = run_federation(federation)
    print("spent after each round:", ", ".join(f"{record.epsilon:.3f}" for record in result.rounds))
    try:  # Whoever sets a limit for life is refused before anything more is released.
        run_federation(federation.with_(lifetime_epsilon=BUDGET))
    except PrivacyError as refusal:
        print(f"refused: {refusal}")
