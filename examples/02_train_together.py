"""What federation brings: one model of three banks beside each bank alone and all rows pooled, and encryption on top.

.venv/bin/python examples/02_train_together.py
"""

import numpy as np

from secure_fl import Experiment, run_federation

# Each bank meets some kinds of fraud more often than the others do; all are tested on the same later payments.
settings = Experiment(
    dataset="simulated", transactions=60_000, fraud_share=0.02, banks=3, split="pattern", rounds=8, bits=12
)
encrypted = run_federation(settings.with_(scheme="ckks"))

frauds = {bank: dealt["train_frauds"] for bank, dealt in encrypted.data["banks"].items()}
print("trained on              frauds   AUPRC")
for alone in encrypted.local:
    print(f"{alone.trained_on + ' alone':22} {frauds[alone.trained_on]:7}    {alone.final.auprc:.2f}")
print(f"{'federated, encrypted':22} {sum(frauds.values()):7}    {encrypted.final.auprc:.2f}")
print(f"{encrypted.central.trained_on:22} {sum(frauds.values()):7}    {encrypted.central.final.auprc:.2f}")

best = max(alone.final.auprc for alone in encrypted.local)
assert encrypted.final.auprc > best, "together they know more than the best of them"

# Encryption takes nothing from the model: summed in the clear, the same integers give the same weights.
in_clear = run_federation(settings.with_(scheme="plaintext"))
assert np.array_equal(encrypted.model.weights, in_clear.model.weights)
secret, clear = (result.rounds[-1].upload_bytes["bank-1"] for result in (encrypted, in_clear))
print(f"summed in the clear: identical weights; bank-1 sends {clear:,} bytes in a round, encrypted {secret:,} bytes")
