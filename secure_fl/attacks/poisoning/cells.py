"""What is tried: each rule against each attack with each number of attackers, and each rule with no attacker.

An attack is named as `sign-flip`, or as `sign-flip@2` with a strength other than its usual one.

With no attacker a rule is run once for each number of byzantine banks that it expects, since that is what it costs
where nobody attacks. The mean without attackers is always there: all others are compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from secure_fl.errors import ConfigurationError
from secure_fl.robust.poisoning import Attackers
from secure_fl.settings import Experiment

NONE = "none"
"""No rule: the mean. No attack: everybody is honest."""


@dataclass(frozen=True)
class Cell:
    """One square of the map."""

    rule: str
    attack: str
    """With its strength, if one is given."""
    byzantine: int
    """How many attack; with no attack, how many the rule expects."""

    @property
    def unharmed(self) -> Cell:
        """The same rule, expecting as many, where nobody attacks."""
        return Cell(self.rule, NONE, 0 if self.rule == NONE else self.byzantine)

    def experiment(self, base: Experiment) -> Experiment:
        """Raises `ConfigurationError` for what cannot be, such as too few banks for the rule."""
        name, strength = named(self.attack)
        made = base.with_(robust=self.rule, attack=name, byzantine=self.byzantine, attack_strength=strength)
        Attackers.of(made)  # an attack may find no strength for so many banks
        return made


MEAN = Cell(NONE, NONE, 0)


def named(attack: str) -> tuple[str, float | None]:
    """Its name, and the strength that is asked for; None: its usual one. Raises `ConfigurationError`."""
    name, at, strength = attack.partition("@")
    try:
        return name, float(strength) if at else None
    except ValueError:
        raise ConfigurationError(f"{strength!r} is no strength of {name}; write a number, as in {name}@1.5") from None


@dataclass(frozen=True)
class Grid:
    """What is tried. Raises `ConfigurationError` for names that do not exist, and for numbers that say nothing."""

    rules: tuple[str, ...]
    attacks: tuple[str, ...]
    byzantine: tuple[int, ...]
    seeds: int

    def __post_init__(self) -> None:
        attacks = tuple(named(attack)[0] for attack in self.attacks)
        for word, setting, given in (("rule", "robust", self.rules), ("attack", "attack", attacks)):
            known = get_args(Experiment.model_fields[setting].annotation)
            known = tuple(name for name in known if setting == "robust" or name != NONE)
            strange = [name for name in given if name not in known]
            if strange or not given:
                what = f"there is no {word} {strange[0]!r}" if strange else f"no {word} is named"
                raise ConfigurationError(f"{what}; choose from {', '.join(known)}")
        if not self.byzantine or min(self.byzantine) < 0:
            raise ConfigurationError(
                "there cannot be fewer than 0 attackers; give whole numbers from 0, such as --byzantine 0,1,2"
            )
        if self.seeds < 1:
            raise ConfigurationError(f"{self.seeds} seeds measure nothing; use 1 or more")

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Each once; those that nobody attacks come before those that are compared with them."""
        return tuple(dict.fromkeys(self._cells()))

    def _cells(self) -> Iterator[Cell]:
        yield MEAN
        for rule in self.rules:
            numbers = sorted({*self.byzantine})
            yield from (Cell(rule, NONE, number).unharmed for number in numbers)
            yield from (Cell(rule, attack, number) for attack in self.attacks for number in numbers if number > 0)
