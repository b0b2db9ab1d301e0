"""Differential privacy without a trusted party: every bank adds a share of the noise, and only the sum has it all.

.venv/bin/python examples/07_noise_that_nobody_holds.py
"""

import numpy as np

from secure_fl.codec.noisy import NoisyCodec
from secure_fl.codec.quantization import Contribution
from secure_fl.errors import PlanError
from secure_fl.privacy.distributed import banks_needed, calibrate, epsilon_spent, noise_to_norm
from secure_fl.secagg import simulate
from secure_fl.secagg.planning import plan_with_noise

BANKS, PARAMETERS, EPSILON, DELTA, ROUNDS = 5, 2_000, 8.0, 1e-5, 10

# The noise for ten rounds, shared out so that any three of the five banks carry all of it.
noise_multiplier = calibrate(EPSILON, DELTA, ROUNDS, PARAMETERS, BANKS)
plan, noise = plan_with_noise("masked", BANKS, PARAMETERS, noise_multiplier, bits=8, threshold=3)
print(f"epsilon {EPSILON} over {ROUNDS} rounds needs noise {noise_multiplier:.2f} times the sensitivity of a round,")
print(f"that is {noise.deviation:.0f} steps a bank: values grow from {noise.bits} to {noise.value_bits} bits,")
print(f"and a ring of {plan.derived()['ring_bits']} bits holds their sum")

# One round. Clip to norm 1, rotate, round, add one's share; bank-1 and bank-5 (rows 0 and 4) vanish, and the promise
# still holds.
rng = np.random.default_rng(1)
updates = rng.normal(size=(BANKS, PARAMETERS))
updates /= np.linalg.norm(updates, axis=1, keepdims=True)
codec = NoisyCodec(noise, max_update_norm=1.0, rotation_seed=b"the digest of the model, which all banks know")
vectors = np.array([codec.encode(Contribution(update, num_examples=1), rng) for update in updates])
outcome = simulate("masked", vectors, noise.value_bits, threshold=3, drop={0: "share_keys", 4: "masked_input"})
rows = sorted(outcome.contributors)
assert np.array_equal(outcome.total, vectors[rows].sum(axis=0)), "a secure sum is exact, with or without noise"

mean = codec.decode(outcome.total, len(rows)).update
error = np.linalg.norm(mean - updates[rows].mean(axis=0))
planned = noise_to_norm(noise, len(rows))
assert abs(error / planned - 1) < 0.1
print(f"in the sum: {', '.join(outcome.names)}; noise of norm {planned:.0f}, as planned, on a mean of norm at most 1")

print(f"whoever sees the sums: epsilon {epsilon_spent(noise, ROUNDS, DELTA):.2f} at delta {DELTA}")
insider = epsilon_spent(noise, ROUNDS, DELTA, known_shares=1)
print(f"a bank, which knows its own share of the noise: epsilon {insider:.2f}")

needed = banks_needed(PARAMETERS, noise_multiplier)
print(f"{BANKS} banks learn nothing under this noise; with {needed} it would be as long as an update")

try:
    plan_with_noise("masked", BANKS, PARAMETERS, noise_multiplier, bits=20)
except PlanError as refusal:
    print(f"refused: {refusal}")
