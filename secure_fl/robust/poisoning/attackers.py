"""The banks of an experiment that attack: together, knowing each other's honest updates and nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from secure_fl.codec.quantization import Contribution
from secure_fl.data import Examples
from secure_fl.robust.poisoning import updates
from secure_fl.robust.poisoning.rows import with_backdoor, with_flipped_labels
from secure_fl.robust.result import FloatMatrix
from secure_fl.settings import Experiment

_STRENGTHS: Mapping[str, float] = {"sign-flip": 4.0, "inner-product": 0.5, "free-rider": 0.0}
_ROWS = {"label-flip": with_flipped_labels, "scaled": with_flipped_labels, "backdoor": with_backdoor}
"""What attackers train on. A scaled update is one towards a model that takes fraud for honest."""


@dataclass(frozen=True)
class Attackers:
    """Who attacks, and how."""

    names: tuple[str, ...]
    attack: str
    strength: float
    seed: int

    @classmethod
    def of(cls, experiment: Experiment) -> Attackers | None:
        """None where nobody attacks. Raises `ConfigurationError` where an attack finds no strength."""
        names, attack = experiment.attackers, experiment.attack
        if not names:
            return None
        strength = experiment.attack_strength
        if strength is None:
            strength = _usual_strength(attack, experiment.banks, len(names))
        return cls(names, attack, strength, experiment.seed)

    def rows(self, bank: str, examples: Examples) -> Examples:
        """What a bank trains on."""
        poison = _ROWS.get(self.attack)
        return examples if poison is None or bank not in self.names else poison(examples)

    def poison(self, contributions: Mapping[str, Contribution], round_: int, clip: float) -> dict[str, Contribution]:
        """What banks send in a round, from what each would honestly send; `clip`: the round's clip range."""
        present = [name for name in self.names if name in contributions]
        if not present:
            return dict(contributions)
        own = np.array([contributions[name].update for name in present])
        sent = zip(present, self._send(own, round_, clip), strict=True)
        return {**contributions, **{name: replace(contributions[name], update=update) for name, update in sent}}

    def _send(self, own: FloatMatrix, round_: int, clip: float) -> FloatMatrix:
        match self.attack:
            case "sign-flip":
                return updates.scaled(own, -self.strength)
            case "scaled" | "backdoor":
                return updates.scaled(own, self.strength)
            case "inner-product":
                return updates.inner_product(own, self.strength)
            case "a-little":
                return updates.a_little(own, self.strength)
            case "min-max":
                return updates.min_max(own)
            case "min-sum":
                return updates.min_sum(own)
            case "free-rider":
                words = [self.seed, round_, *b"free-rider"]
                return updates.free_rider(own, self.strength * clip, np.random.default_rng(words))
            case _:  # label-flip: an honest update of poisoned rows
                return own


def _usual_strength(attack: str, banks: int, attackers: int) -> float:
    if attack == "a-little":
        return updates.hidden_deviations(banks, attackers)
    return _STRENGTHS.get(attack, banks / attackers)
