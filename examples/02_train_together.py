"""Three banks train one fraud model; the encrypted run and the one in the clear end with the same weights.

.venv/bin/python examples/02_train_together.py
"""

import numpy as np

from secure_fl import Experiment, run_federation

settings = Experiment(dataset="simulated", transactions=20_000, fraud_share=0.02, banks=3, rounds=3, bits=12)

encrypted = run_federation(settings.with_(scheme="ckks"))
in_clear = run_federation(settings.with_(scheme="plaintext"))

for record in encrypted.rounds:
    print(f"round {record.round}: AUPRC {record.auprc:.3f}, {record.upload_bytes['bank-1'] / 1000:.0f} kB from bank-1")
assert np.array_equal(encrypted.model.weights, in_clear.model.weights)
print("encrypted and in the clear: identical weights")
