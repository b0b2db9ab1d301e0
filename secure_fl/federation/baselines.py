"""What banks could have without federation: each one alone, and all data pooled.

Both make as many passes over the data that they hold as the federation's banks do, rounds x local_epochs; so the
pooled model takes as many steps as all banks together, and a lone bank as many as it takes in the federation.
Only a sandbox can compute the pooled one: it needs what the banks do not show each other.

Both are trained without differential privacy, also where the federation is not: a bank that keeps its model to itself
has no need of it, and what privacy and separation cost together shows against the best that could be had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from secure_fl.data import Examples
from secure_fl.errors import TrainingError
from secure_fl.federation.bank import Bank
from secure_fl.federation.results import Baseline
from secure_fl.settings import Training
from secure_fl.training import FlatWeights, Learner, evaluate, examine, train

POOLED = "all banks pooled"


def train_baselines(
    training: Training,
    learner: Learner,
    banks: tuple[Bank, ...],
    test: Examples,
    test_rows: Mapping[str, int],
    advance: Callable[[int], None],
) -> tuple[tuple[Baseline, ...], Baseline]:
    """The baselines of the single banks, and the central one; `training` without differential privacy.

    `test_rows`: how many of the test rows are each bank's, as far as they are anybody's.
    """

    def baseline(trained_on: str, examples: Examples) -> Baseline:
        models, scores = [], []
        with suppress(TrainingError):  # the federation's result is not lost for it
            for weights in _weights_by_round(training, learner, examples):
                scores.append(evaluate(weights, test, learner))
                models.append(weights)
        diverged_in = len(models) + 1 if len(models) < training.rounds else None
        if not models:
            models = [learner.initial(training.seed)]
            scores = [evaluate(models[0], test, learner)]
        scores += [scores[-1]] * (training.rounds - len(scores))
        closer = examine(models[-1], test, test_rows, learner)
        return Baseline(trained_on, scores[-1], tuple(s.auprc for s in scores), closer, diverged_in)

    local = []
    for done, bank in enumerate(banks):
        advance(done)
        local.append(baseline(bank.name, bank.examples))
    advance(len(banks))
    central = baseline(POOLED, Examples.pooled([bank.examples for bank in banks]))
    advance(len(banks) + 1)
    return tuple(local), central


def _weights_by_round(training: Training, learner: Learner, examples: Examples) -> Iterator[FlatWeights]:
    """Without a federation's rounds the optimizer keeps its state, unless the training is somebody's own."""
    weights, seed, epochs = learner.initial(training.seed), training.seed, training.local_epochs
    if learner.fit is None:
        every = train(weights, examples, training, epochs=training.rounds * epochs, seed=seed, learner=learner)
        yield from (weights for epoch, weights in enumerate(every, start=1) if epoch % epochs == 0)
    else:
        for number in range(training.rounds):
            *_, weights = train(weights, examples, training, epochs=epochs, seed=seed + number, learner=learner)
            yield weights
