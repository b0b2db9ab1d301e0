"""Poisoning: banks that attack a federation, each rule that bears them or does not, and how many it takes.

    cells     a rule, an attack and a number of attackers; which of them cannot be
    staging   the parties of a cell, from rows that were opened once
    backdoor  what passes as honest
    trial     one cell with one seed: the rounds, without the baselines of a run
    run       all cells, and the mean over seeds

Real federations: attackers train and send through the same client halves as honest banks (`robust.poisoning`).
"""

from secure_fl.attacks.poisoning.cells import Grid
from secure_fl.attacks.poisoning.run import possible, run_poisoning

__all__ = ["Grid", "possible", "run_poisoning"]
