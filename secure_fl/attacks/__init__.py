"""What a curious or malicious aggregator, and anybody who holds the final model, can do: attacks that really run.

`inversion` rebuilds transactions from one bank's update, `membership` tells who was trained on, `split_view` is an
aggregator that shows banks different models. Each reports a success rate with an interval beside blind guessing, and
runs the same code under every scheme: what differs is only what the aggregator holds.

    from secure_fl.attacks import attack
    report = attack("inversion", "masked", dataset="simulated", batches=(4,), trials=5)
"""

from secure_fl.attacks.command import AttackSettings, attack
from secure_fl.attacks.report import AttackReport

__all__ = ["AttackReport", "AttackSettings", "attack"]
