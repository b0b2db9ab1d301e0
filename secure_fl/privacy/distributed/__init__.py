"""Distributed differential privacy: every bank adds a share of a noise that nobody holds as a whole.

Kairouz, Liu, Steinke, "The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation",
ICML 2021. `secagg.budget.noise` plans it, `codec` adds it, `guarantee` says what it promises, `outlook` what it costs.

*Unit of privacy*: one bank's whole contribution to a round. *Neighbours*: one bank's update is replaced by zero; who
takes part is public, and so are the model's size and the settings. *Towards whom*: everybody who sees sums and models;
a participating bank knows its own share of the noise, so its view has an epsilon of its own.

*Not covered*: anything that travels besides the updates, such as exact sums of statistics; how long the sampler takes;
and an aggregator that sees single updates: the scheme keeps those hidden, not the noise, of which one share is little.
"""

from secure_fl.codec.noisy import NoisyCodec, clipped_to_norm
from secure_fl.privacy.distributed.guarantee import calibrate, effective_noise_multiplier, epsilon_spent
from secure_fl.privacy.distributed.outlook import banks_needed, noise_to_norm

__all__ = [
    "NoisyCodec",
    "banks_needed",
    "calibrate",
    "clipped_to_norm",
    "effective_noise_multiplier",
    "epsilon_spent",
    "noise_to_norm",
]
