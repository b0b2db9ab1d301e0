"""The parties of a cell, from a federation that was opened once: reading and dealing rows takes longer than a round.

Whatever depends on rule or attack is made anew: keys, banks and what they train on, the rule and its root set. Rows,
features and statistics are those of the opened one, as no attack changes round 0. A test holds that the rounds are
those of a run.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from secure_fl.federation.bank import Bank
from secure_fl.federation.defence import Defence
from secure_fl.federation.opening import Federation, prepare
from secure_fl.federation.rounds import Robustness
from secure_fl.robust.poisoning import Attackers
from secure_fl.settings import Experiment


def staged(opened: Federation, experiment: Experiment) -> Federation:
    """The federation of `experiment`; `opened`: that of the same experiment without rule and attack."""
    attackers = Attackers.of(experiment)
    banks = tuple(
        Bank(data, number, experiment, learner=opened.learner)
        for number, data in enumerate(opened.dataset.banks, start=1)
    )
    for bank in banks:
        bank.adopt(opened.schema, None if attackers is None else partial(attackers.rows, bank.name))
    defence = Defence.of(experiment, [bank.examples for bank in banks], opened.learner)
    model = opened.start.model
    if defence is not None:
        model = replace(model, mean_examples=None)
    return replace(
        opened,
        experiment=experiment,
        aggregation=prepare(experiment, len(model.weights)).updates,
        banks=banks,
        start=replace(opened.start, model=model),
        robustness=Robustness(attackers, defence, experiment.norm_bound),
    )
