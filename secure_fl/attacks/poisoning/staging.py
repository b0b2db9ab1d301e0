"""The parties of a cell, from a federation that was opened once: reading and dealing rows takes longer than a round.

Whatever depends on rule or attack is made anew: keys, banks and what they train on, the rule and its root set. Rows,
features and statistics are those of the opened one, as no attack changes round 0. A test holds that the rounds are
those of a run.
"""

from __future__ import annotations

from dataclasses import replace

from secure_fl.federation.bank import Bank
from secure_fl.federation.opening import Federation, adopt_features, prepare
from secure_fl.robust.poisoning import Attackers
from secure_fl.settings import Experiment


def staged(opened: Federation, experiment: Experiment) -> Federation:
    """The federation of `experiment`; `opened`: that of the same experiment without rule and attack."""
    banks = tuple(
        Bank(data, number, experiment, learner=opened.learner)
        for number, data in enumerate(opened.dataset.banks, start=1)
    )
    robustness = adopt_features(experiment, Attackers.of(experiment), banks, opened.schema, opened.learner)
    model = opened.start.model
    if experiment.alike:
        model = replace(model, mean_examples=None)
    return replace(
        opened,
        experiment=experiment,
        aggregation=prepare(experiment, len(model.weights)).updates,
        banks=banks,
        start=replace(opened.start, model=model),
        robustness=robustness,
    )
