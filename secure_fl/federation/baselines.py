"""What banks could have without federation: each one alone, and all data pooled.

Both make as many passes over the data that they hold as the federation's banks do, rounds x local_epochs; so the
pooled model takes as many steps as all banks together, and a lone bank as many as it takes in the federation.
Only a sandbox can compute the pooled one: it needs what the banks do not show each other.

Both are trained without differential privacy, also where the federation is not: a bank that keeps its model to itself
has no need of it, and what privacy and separation cost together shows against the best that could be had.
"""

from __future__ import annotations

from collections.abc import Callable

from secure_fl.data import Examples
from secure_fl.federation.bank import Bank
from secure_fl.federation.results import Baseline
from secure_fl.privacy.federation import training_settings
from secure_fl.settings.experiment import Experiment
from secure_fl.training import evaluate, initial_weights, train

POOLED = "all banks pooled"


def train_baselines(
    experiment: Experiment, banks: tuple[Bank, ...], test: Examples, advance: Callable[[int], None]
) -> tuple[tuple[Baseline, ...], Baseline]:
    """The baselines of the single banks, and the central one."""
    experiment = experiment.without_privacy()
    local = []
    for done, bank in enumerate(banks):
        advance(done)
        local.append(_baseline(bank.name, experiment, bank.examples, test))
    advance(len(banks))
    central = _baseline(POOLED, experiment, Examples.pooled([bank.examples for bank in banks]), test)
    advance(len(banks) + 1)
    return tuple(local), central


def _baseline(trained_on: str, experiment: Experiment, examples: Examples, test: Examples) -> Baseline:
    epochs = experiment.rounds * experiment.local_epochs
    start = initial_weights(experiment.seed)
    trained = train(start, examples, training_settings(experiment), epochs=epochs, seed=experiment.seed)
    after_round = [w for epoch, w in enumerate(trained, start=1) if epoch % experiment.local_epochs == 0]
    scores = [evaluate(weights, test) for weights in after_round]
    return Baseline(trained_on, scores[-1], tuple(s.auprc for s in scores))
