"""What a clever aggregator makes of secure sums: differences of uploads, of sums, and sums minus what colluders sent.

Ciphertexts are not read as if they were updates. Two games are played on them, which blind guessing wins half the time:

- *which update*: the attacker gets what it sees and two candidates for what was sent, and takes the one that
  correlates more (indistinguishability of a known pair: Goldwasser, Micali, JCSS 1984);
- *the same twice*: it gets two pairs of uploads, one of which holds the same values twice, as when a round is
  repeated, and takes the pair with more words in common.

An upload is also held against what a mask, a share and a coefficient must look like: uniform bytes (chi-square).

What the sums themselves tell is no fault of a scheme, but is told beside it. From the sum, n - 1 colluders subtract
their own updates and have the victim's exactly; so has an aggregator that opens the sums of the same updates with and
without the victim. With n - 2 colluders the sum of two is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chisquare

from secure_fl.attacks.held import uploaded
from secure_fl.attacks.judging import CLOSE, interval_of_shares, match
from secure_fl.attacks.trial import Observatory, rows_of
from secure_fl.federation.bank import Bank
from secure_fl.secagg.protocol import Values

FloatVector = NDArray[np.float64]
Rebuild = Callable[[Observatory, FloatVector, int, int, np.random.Generator], NDArray[np.floating]]
"""(observatory, update, rows, banks, rng) -> rows that the attacker believes made the sum of updates."""

NEW, AGAIN, OTHER = range(3)
"""Uploads of a trial: some values, the same values once more, and values of another round."""


@dataclass(frozen=True)
class Rebuilt:
    """Rows from an update that a view gives exactly, or from a sum of two."""

    share: float
    of: int


@dataclass(frozen=True)
class Sight:
    """One trial."""

    which_update: Mapping[str, float] = field(repr=False)
    """View -> 1 for a game that was won, 0 for one that was lost, 0.5 where the view says nothing either way."""
    same_twice: float
    rebuilt: Mapping[str, Rebuilt]
    byte_counts: NDArray[np.int64] = field(repr=False)
    """[256]: how often each byte was in an upload."""


def look(observatory: Observatory, rebuild: Rebuild, rng: np.random.Generator) -> Sight:
    """Three secure sums of one federation, and one without the victim, with all that the aggregator makes of them."""
    banks, others = observatory.scene.draw_banks(rng), observatory.scene.draw_banks(rng)
    victim = banks[0].name
    first, second = observatory.values_of(banks, rng), observatory.values_of(others, rng)
    sums = [observatory.sum_of(values, victim) for values in (first, first, second)]
    without = observatory.sum_of(first, victim, absent=victim)
    decoys = [observatory.values_of(observatory.scene.draw_banks(rng), rng)[victim] for _ in range(2)]
    sent = [uploaded(held.cohort, held.overheard.payload) for held in sums]
    words, modulus = [each.words for each in sent], sent[NEW].modulus
    pairs = {
        "one upload": (_centred(words[NEW], modulus), first[victim], decoys[0]),
        "two rounds": (
            _difference(words[NEW], words[OTHER], modulus),
            _float(first[victim]) - second[victim],
            _float(decoys[0]) - decoys[1],
        ),
        "two sums": (
            _float(sums[NEW].total) - sums[OTHER].total,
            _float(first[victim]) - second[victim],
            _float(decoys[0]) - decoys[1],
        ),
    }
    alone = _float(sums[NEW].total) - sum(first[bank.name] for bank in banks[1:])
    two = _float(sums[NEW].total) - sum(first[bank.name] for bank in banks[2:])
    exact = {
        "sum minus n - 1 colluders": (alone, 1),
        "sum minus n - 2 colluders": (two, 2),
        "sums with and without the victim": (_float(sums[NEW].total) - without.total, 1),
    }
    rebuilt = {name: _rebuild(observatory, rebuild, left, banks[:count], rng) for name, (left, count) in exact.items()}
    pairs |= {name: (left, first[victim], decoys[0]) for name, (left, _) in exact.items()}
    return Sight(
        which_update={name: _which(*pair) for name, pair in pairs.items()},
        same_twice=_same_twice(*words),
        rebuilt=rebuilt,
        byte_counts=np.bincount(sent[NEW].uniform, minlength=256),
    )


def _rebuild(
    observatory: Observatory, rebuild: Rebuild, left: FloatVector, banks: Sequence[Bank], rng: np.random.Generator
) -> Rebuilt:
    """The share of the victim's rows, who comes first, in what is left of a sum over these banks."""
    rows, batch = rows_of(banks), observatory.scene.experiment.batch_size
    found = rebuild(observatory, observatory.open_sum(left, len(banks)), len(rows), len(banks), rng)
    return Rebuilt(float((match(found, rows)[1][:batch] < CLOSE).mean()), len(rows))


def figures(sights: Sequence[Sight]) -> dict[str, Any]:
    """What all trials say together."""
    counts = np.sum([sight.byte_counts for sight in sights], axis=0)
    views = [_game("same values twice", [sight.same_twice for sight in sights])]
    for name in sights[0].which_update:
        row = _game(name, [sight.which_update[name] for sight in sights])
        if name in sights[0].rebuilt:
            found = [sight.rebuilt[name] for sight in sights]
            shares = [trial.share for trial in found]
            row |= {"rows": found[0].of, "success_rate": float(np.mean(shares))}
            row |= {"interval": list(interval_of_shares(shares))}
        views.append(row)
    uniform = float(chisquare(counts).pvalue)
    wins = [float(row["told_apart"]) * len(sights) for row in views if row["view"] in FROM_UPLOADS]
    by_chance = [float(binomtest(math.floor(won), len(sights), alternative="greater").pvalue) for won in wins]
    return {
        "views": views,
        "uniformity": {"bytes": int(counts.sum()), "p_value": uniform},
        "uploads_tell": min(by_chance) < _RARE or uniform < _RARE,
    }


def _game(view: str, wins: Sequence[float]) -> dict[str, Any]:
    return {
        "view": view,
        "needs": _NEEDS[view],
        "told_apart": float(np.mean(wins)),
        "told_apart_interval": list(interval_of_shares(wins)),
        "guessing": 0.5,
    }


_NEEDS = {
    "same values twice": "a round that is repeated with the same values",
    "one upload": "nothing",
    "two rounds": "nothing",
    "two sums": "nothing: every scheme opens sums",
    "sum minus n - 1 colluders": "all banks but the victim",
    "sum minus n - 2 colluders": "all banks but two",
    "sums with and without the victim": "a round that is repeated without the victim, with the same values",
}
_RARE = 1e-4
"""So seldom does chance alone make uploads look as if they told something; there are dozens of games."""
FROM_UPLOADS = ("same values twice", "one upload", "two rounds")
"""Views in which a scheme must show nothing. The others are what sums say under any scheme."""


def _float(values: Values) -> FloatVector:
    return values.astype(np.float64)


def _centred(words: Values, modulus: float) -> FloatVector:
    numbers = _float(words)
    return numbers if not modulus else (numbers + modulus / 2) % modulus - modulus / 2


def _difference(one: Values, other: Values, modulus: float) -> FloatVector:
    return _centred(_float(one) - _float(other), modulus)


def _which(view: FloatVector, sent: Values, decoy: Values) -> float:
    """1 where the view looks more like what was sent, 0 where it looks more like the decoy."""
    count = min(len(view), len(sent))
    alike = [_correlation(view[:count], _float(candidate)[:count]) for candidate in (sent, decoy)]
    return 0.5 if alike[0] == alike[1] else float(alike[0] > alike[1])


def _correlation(one: FloatVector, other: FloatVector) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _same_twice(new: Values, again: Values, other: Values) -> float:
    """1 where the uploads of the same values have more words in common than those of different ones."""
    same, different = (int((new == second).sum()) for second in (again, other))
    return 0.5 if same == different else float(same > different)
