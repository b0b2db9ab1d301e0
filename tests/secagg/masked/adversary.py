"""An aggregator that may show each bank anything, at every stage: what is the smallest sum that it ever opens?

The real protocol is too slow to be run against every lie, so the honest bank is modelled: what it accepts, and which
shares it then gives out, as a function of what it is shown (`takes_keys` to `reveals`). `test_lying_aggregator` holds
it against the real `MaskedClient`. What the aggregator and its banks know follows from the shares: `sums_that_open`.

Sets of banks are bit masks. A lie is, for each honest bank, whose keys it is shown, whose letters it gets, and which
list of survivors it is told. `exhaust` goes through all of them. That takes too long from five banks on, and most lies
are worse than others, so `smallest_sum` leaves out, without loss (`exhaust` agrees with it on three and four banks):

- A bank is shown all keys of its neighbours: what it accepts and whose letters exist only grows with them.
- It gets the letters of all corrupt banks, and hears that they survived: their masks are known anyway, they sign
  anything, and a longer list with more letters passes every check that a shorter one passed.
- It is shown every valid signature there is: more of them only make it answer.
- Whoever is not in the sum that is to open (`target`) gets the letters of all its neighbours. What it then masks with
  does not matter, and it holds more shares.
- Whoever is in the target gets letters of those that are in the target too, and of those with whom its mask is known
  in the end. Another mask could not come off, known ones cost nothing, and shares of a key that does not open are no
  use. So nothing has to be tried here: `opens` computes it.
- A list that too few banks are told to make anybody answer is as good as none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property


def members(banks: int) -> list[int]:
    return [bank for bank in range(banks.bit_length()) if banks >> bank & 1]


def subsets(banks: int, smallest: int = 0) -> list[int]:
    """All subsets of at least some size, the smallest first."""
    bits = [1 << bank for bank in members(banks)]
    sizes = range(max(smallest, 0), len(bits) + 1)
    return [sum(chosen) for size in sizes for chosen in itertools.combinations(bits, size)]


def union_of(banks: Iterable[int]) -> int:
    """The set of banks that have these numbers."""
    return sum(1 << bank for bank in banks)


@dataclass(frozen=True)
class Rules:
    """A cohort, the banks that work with the aggregator, and what honest banks check."""

    around: tuple[int, ...]
    holders: int
    """Shares that open a secret."""
    threshold: int
    """Survivors that a list must have."""
    quorum: int
    """Signatures that a bank waits for; here all banks are witnesses."""
    corrupt: int = 0
    within_letters: bool = True
    """A list of survivors is refused if it names neighbours without a letter."""
    replay: bool = False
    """Banks take part in an attempt many times, and statements do not say under which keys."""

    @cached_property
    def honest(self) -> int:
        return (1 << len(self.around)) - 1 & ~self.corrupt


def complete(banks: int, threshold: int, colluders: int = 0, **changes: bool) -> Rules:
    """Everybody with everybody; by symmetry it does not matter which banks are corrupt: the last ones."""
    everyone = (1 << banks) - 1
    around = tuple(everyone & ~(1 << bank) for bank in range(banks))
    corrupt = everyone & ~((1 << banks - colluders) - 1)
    return Rules(around, threshold, threshold, threshold, corrupt, **changes)


def circle(banks: int, degree: int, holders: int, threshold: int, corrupt: int = 0, quorum: int | None = None) -> Rules:
    """The sparse graph with the banks in the order of their numbers; the quorum is the threshold if not given."""
    steps = [step for step in range(-(degree // 2), degree // 2 + 1) if step]
    around = tuple(sum(1 << (bank + step) % banks for step in steps) for bank in range(banks))
    return Rules(around, holders, threshold, threshold if quorum is None else quorum, corrupt)


# The honest bank: what it accepts, and what it gives out. The client's four requests, in order.


def takes_keys(rules: Rules, bank: int, keys: int) -> bool:
    return not keys & ~rules.around[bank] and keys.bit_count() + 1 >= rules.holders


def takes_letters(rules: Rules, bank: int, keys: int, letters: int) -> bool:
    return not letters & ~keys and letters.bit_count() + 1 >= rules.holders


def signs(rules: Rules, bank: int, letters: int, told: int) -> bool:
    known = letters | 1 << bank
    within = not told & rules.around[bank] & ~known or not rules.within_letters
    return bool(told >> bank & 1) and told.bit_count() >= rules.threshold and within


def reveals(rules: Rules, bank: int, keys: int, letters: int, told: int, signers: int) -> tuple[int, int] | None:
    """Of whom it gives out a share of the mask key, and of whom one of the seed; None: of nobody.

    `signers`: those of whom it is shown a valid signature of the list that it was told.
    """
    held = letters | 1 << bank
    if (signers & told).bit_count() < rules.quorum:
        return None
    return held & ~told, held & told


# What the aggregator and its banks know


@dataclass(frozen=True)
class View:
    """What one honest bank was shown, all of it accepted; told 0: it does not answer to the end."""

    keys: int
    letters: int
    told: int


Lie = dict[int, View]


def knowledge(rules: Rules, lie: Lie) -> tuple[int, int]:
    """The honest banks whose seed opens, and those whose mask key does."""
    seeds, keys = [0] * len(rules.around), [0] * len(rules.around)
    for bank, view in lie.items():
        same = sum(1 << other for other, its in lie.items() if its.told == view.told)
        signers = rules.corrupt | (view.told if rules.replay else same)
        given = reveals(rules, bank, view.keys, view.letters, view.told, signers) if view.told else None
        for owner in members(given[0]) if given else ():
            keys[owner] += 1
        for owner in members(given[1]) if given else ():
            seeds[owner] += 1
    open_seeds = open_keys = 0
    for bank, view in lie.items():
        leaked = (view.keys & rules.corrupt).bit_count()  # corrupt holders have a share of both
        open_seeds |= (seeds[bank] + leaked >= rules.holders) << bank
        open_keys |= (keys[bank] + leaked >= rules.holders) << bank
    return open_seeds, open_keys


def sums_that_open(rules: Rules, lie: Lie) -> list[int]:
    """The smallest sets of honest banks whose masked inputs add up to nothing but inputs.

    A mask that is not known is in at most two masked inputs, once with each sign. So whoever takes one of them in must
    take in the other one as often, and the sets are the connected components of the graph of these masks, where all
    seeds are open and no mask is in one input only.
    """
    seeds, keys = knowledge(rules, lie)
    unknown = {
        bank: 0 if keys >> bank & 1 else view.letters & rules.honest & ~keys for bank, view in lie.items()
    }  # with whom a bank's input has a mask that is not known
    found = set()
    for start in lie:
        needed, seen = 1 << start, 0
        while needed & ~seen:
            bank = (needed & ~seen).bit_length() - 1
            seen |= 1 << bank
            needed |= unknown.get(bank, 0)
        if not needed & ~seeds and all(
            unknown[other] >> bank & 1 for bank in members(needed) for other in members(unknown[bank])
        ):
            found.add(needed)
    return sorted(found)


def exhaust(rules: Rules, all_keys: bool) -> int:
    """The smallest sum that opens, over every lie; `all_keys`: each bank is shown all its neighbours' keys."""
    views: dict[int, list[View | None]] = {bank: [None] for bank in members(rules.honest)}  # None: not asked
    everyone = (1 << len(rules.around)) - 1
    for bank, its in views.items():
        for keys in [rules.around[bank]] if all_keys else subsets(rules.around[bank]):
            for letters in subsets(keys) if takes_keys(rules, bank, keys) else ():
                if takes_letters(rules, bank, keys, letters):
                    lists = [told for told in subsets(everyone) if signs(rules, bank, letters, told)]
                    its += [View(keys, letters, told) for told in (0, *lists)]
    smallest = len(rules.around) + 1
    for chosen in itertools.product(*views.values()):
        lie = {bank: view for bank, view in zip(views, chosen, strict=True) if view is not None}
        if possible(rules, lie):
            smallest = min([smallest, *(s.bit_count() for s in sums_that_open(rules, lie))])
    return smallest


def possible(rules: Rules, lie: Lie) -> bool:
    """A letter of an honest bank exists where that bank shared its secrets, with the recipient's key."""
    return all(
        other in lie and lie[other].keys >> bank & 1
        for bank, view in lie.items()
        for other in members(view.letters & rules.honest)
    )


# The search that leaves out what is worse


def given_away(rules: Rules, told: tuple[int, ...]) -> tuple[int, int]:
    """The honest banks whose seed opens, and those whose mask key does, where everybody holds all shares it can."""
    near = [around | 1 << bank for bank, around in enumerate(rules.around)]
    answering = [
        bank
        for bank in members(rules.honest)
        if told[bank] and reveals(rules, bank, rules.around[bank], 0, told[bank], signers(rules, told, bank))
    ]
    seeds = keys = 0
    for bank in members(rules.honest) if answering else ():
        leaked = (rules.around[bank] & rules.corrupt).bit_count()
        holding = [told[other] for other in answering if near[other] >> bank & 1]
        alive = sum(its >> bank & 1 for its in holding)
        seeds |= (alive + leaked >= rules.holders) << bank
        keys |= (len(holding) - alive + leaked >= rules.holders) << bank
    return seeds, keys


def opens(rules: Rules, told: tuple[int, ...], target: int, seeds: int, keys: int) -> bool:
    """Whether, told these lists (0: none), the banks give away the sum over `target`, with the best letters for it."""
    for bank in members(target):
        known = -1 if keys >> bank & 1 else keys | rules.corrupt | target
        letters = rules.around[bank] & known
        if not takes_letters(rules, bank, rules.around[bank], letters):
            return False
        if told[bank] and not signs(rules, bank, letters, told[bank]):
            return False
    return not target & ~seeds


def signers(rules: Rules, told: tuple[int, ...], bank: int) -> int:
    same = sum(1 << other for other, its in enumerate(told) if its == told[bank])
    return rules.corrupt | (told[bank] if rules.replay else same)


def stories(rules: Rules, lists_at_once: int) -> Iterator[tuple[int, ...]]:
    """Who is told what: up to so many different lists, and all ways of telling them to their members or to nobody.

    A list counts once a quorum signs it, so that not many lists fit.
    """
    fewest = 1 if rules.replay else rules.quorum - rules.corrupt.bit_count()
    lists = [told | rules.corrupt for told in subsets(rules.honest)]
    lists = [told for told in lists if told.bit_count() >= rules.threshold]
    for number in range(1, lists_at_once + 1):
        for chosen in itertools.combinations(lists, number):
            options = [[0, *(li for li in chosen if li >> bank & 1)] for bank in members(rules.honest)]
            for told in itertools.product(*options):
                if all(told.count(li) >= fewest for li in chosen):
                    yield placed(rules, told)


def placed(rules: Rules, told: tuple[int, ...]) -> tuple[int, ...]:
    by_bank = dict(zip(members(rules.honest), told, strict=True))
    return tuple(by_bank.get(bank, 0) for bank in range(len(rules.around)))


def smallest_sum(rules: Rules, lists_at_once: int = 2) -> int:
    """Honest banks in the smallest sum that some lie opens; one more than there are where nothing opens."""
    targets = subsets(rules.honest, 1)
    smallest = len(rules.around) + 1
    for told in stories(rules, lists_at_once):
        seeds, keys = given_away(rules, told)
        for target in targets if seeds else ():
            if target.bit_count() >= smallest:
                break
            if opens(rules, told, target, seeds, keys):
                smallest = target.bit_count()
    return smallest


def opens_both_secrets(rules: Rules) -> bool:
    """Whether some lie opens the seed and the mask key of one honest bank."""
    return any(seeds & keys for seeds, keys in (given_away(rules, told) for told in stories(rules, 2)))


def shown(rules: Rules, told: tuple[int, ...], target: int) -> Lie:
    """The lie that `opens` found possible, as views."""
    _, keys = given_away(rules, told)
    views = {}
    for bank in members(rules.honest):
        known = -1 if keys >> bank & 1 or not target >> bank & 1 else keys | rules.corrupt | target
        views[bank] = View(rules.around[bank], rules.around[bank] & known, told[bank])
    return views


def first_lie(rules: Rules, size: int) -> tuple[Lie, int]:
    for told in stories(rules, 2):
        for target in subsets(rules.honest, size):
            if target.bit_count() == size and opens(rules, told, target, *given_away(rules, told)):
                return shown(rules, told, target), target
    raise AssertionError("there is none")


SEVEN = circle(7, degree=4, holders=3, threshold=4, quorum=3)
A, B = 0b0101101, 0b1011011
TOLD = tuple(A if bank in (0, 2, 5) else B for bank in range(7))
"""Two stories on a circle that open the sum over bank 0 alone, with no colluder."""
