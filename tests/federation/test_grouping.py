"""Rules over the means of groups: who is in which, what the aggregator opens, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl import Experiment
from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.grouping import group_threshold, groups_of, require_group
from secure_fl.federation.opening import Federation
from secure_fl.federation.results import Result
from secure_fl.federation.rounds import RoundOutcome, run_round
from secure_fl.robust import RULES
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD, Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import unpack_bits
from secure_fl.secagg.schemes import SCHEMES

Small = Callable[..., Experiment]
Run = Callable[..., Result]
GROUPED: dict[str, Any] = {"scheme": "masked", "banks": 9, "robust": "median", "byzantine": 1, "group_size": 3}


def opened(experiment: Experiment) -> Federation:
    return Federation.open(experiment, None)


def one_round(federation: Federation, number: int = 1) -> RoundOutcome:
    model = federation.start.model
    robustness = federation.robustness
    return run_round(federation.aggregation, federation.banks, model, model.to_bytes(), number, robustness=robustness)


def groups(federation: Federation, round_: int = 1) -> tuple[tuple[str, ...], ...]:
    assert federation.robustness.defence is not None
    return federation.robustness.defence.groups(round_)


@given(banks=st.integers(1, 60), count=st.integers(1, 12), seed=st.integers(0, 2**63 - 1), round_=st.integers(0, 99))
def test_every_bank_is_in_one_group_and_groups_are_of_one_size_or_the_next(
    banks: int, count: int, seed: int, round_: int
) -> None:
    names = tuple(f"bank-{n}" for n in range(1, banks + 1))
    count = min(count, banks)
    found = groups_of(names, count, seed, round_)
    assert sorted(bank for group in found for bank in group) == sorted(names)
    sizes = [len(group) for group in found]
    assert max(sizes) - min(sizes) <= 1
    assert all(list(group) == sorted(group, key=names.index) for group in found)
    assert found == groups_of(names, count, seed, round_)


def test_over_many_rounds_any_two_banks_meet_equally_often() -> None:
    names = tuple(f"bank-{n}" for n in range(1, 10))
    together = np.zeros((9, 9))
    for round_ in range(4_000):
        for group in groups_of(names, 3, 7, round_):
            rows = [names.index(bank) for bank in group]
            together[np.ix_(rows, rows)] += 1
    pairs = together[np.triu_indices(9, 1)]
    assert abs(pairs / 4_000 - 2 / 8).max() < 0.04, "two of the other eight"
    assert groups_of(names, 3, 7, 1) != groups_of(names, 3, 8, 1)


def test_a_bank_takes_part_in_its_own_group_only() -> None:
    divided = (("a", "b", "c"), ("d", "e", "f"))
    require_group(("a", "b", "c"), divided, "b", 3)
    for group, bank in (((("a", "b", "d")), "a"), (("d", "e", "f"), "a"), (("a", "b"), "a"), (("b", "c", "a"), "a")):
        with pytest.raises(MessageError, match="a is asked for its update in a group that is not its own"):
            require_group(group, divided, bank, 3)


@pytest.mark.slow
def test_an_aggregator_that_divides_banks_as_it_likes_gets_no_sum(small: Small) -> None:
    federation = opened(small(**GROUPED))
    defence = federation.robustness.defence
    assert defence is not None
    names = federation.experiment.bank_names
    others = (names[:3], names[3:6], names[6:])
    assert set(others) != set(groups(federation))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(defence), "groups", lambda self, round_: others)
        with pytest.raises(ProtocolError, match="in a group that is not its own"):
            one_round(federation)


def test_an_aggregator_that_lowers_the_threshold_of_a_group_gets_no_sum(small: Small) -> None:
    """With a bank missing it would open a sum of two."""
    federation = opened(small(**GROUPED, drop=("bank-2@1:masked_input",)))
    honest = type(federation.aggregation).group

    def lower(aggregation: Any, cohort: Any, banks: Any, threshold: int, turn: int) -> Any:
        return honest(aggregation, cohort, banks, threshold - 1, turn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(federation.aggregation), "group", lower)
        with pytest.raises(ProtocolError, match="would be opened, and not only one over 3 or more"):
            one_round(federation)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_the_aggregate_is_the_rules_on_the_groups_means_under_every_scheme(scheme: str, small: Small) -> None:
    federation = opened(small(**(GROUPED | {"scheme": scheme, "banks": 10}), initial_clip=0.5))
    done = one_round(federation)
    names = [bank.name for bank in federation.banks]
    updates = dict(zip(names, (bank.train(1).update for bank in federation.banks), strict=True))
    means = [np.mean([updates[bank] for bank in group], axis=0) for group in groups(federation)]
    assert done.mean.step is not None
    assert np.abs(done.mean.update - RULES["median"](np.array(means), 1).aggregate).max() < 2 * done.mean.step
    assert done.contributors == tuple(names)
    assert done.clipped_fraction is None
    assert done.max_abs_error is not None
    assert 0 < done.max_abs_error < 2 * done.mean.step


@pytest.mark.slow
def test_all_schemes_come_to_the_same_model(small: Small) -> None:
    found = [one_round(opened(small(**(GROUPED | {"scheme": scheme})))).mean.update for scheme in sorted(SCHEMES)]
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_the_group_of_an_attacker_is_left_out_whole(small: Small) -> None:
    settings = GROUPED | {"robust": "multi-krum", "banks": 15, "attack": "sign-flip", "attack_strength": 8.0}
    federation = opened(small(**settings, transactions=20_000, initial_clip=1.0))
    done = one_round(federation)
    (poisoned,) = [group for group in groups(federation) if "bank-15" in group]
    assert set(done.excluded) == set(poisoned)
    assert done.byzantine == ("bank-15",)


def test_in_each_round_groups_are_others_and_keys_are_the_same(small: Small) -> None:
    federation = opened(small(**(GROUPED | {"scheme": "ckks"})))
    assert set(groups(federation, 1)) != set(groups(federation, 2))
    assert [one_round(federation, number).attempts for number in (1, 2)] == [1, 1]
    with pytest.raises(ProtocolError, match="does not go back"):
        one_round(federation, 1)


def test_no_sum_of_fewer_than_three_banks_is_opened(small: Small) -> None:
    assert [group_threshold(size) for size in (3, 4, 5, 6, 9)] == [3, 3, 3, 4, 5]
    federation = opened(small(**(GROUPED | {"banks": 12}), drop=("bank-2@1:masked_input",)))
    done = one_round(federation)
    (lost,) = [group for group in groups(federation) if "bank-2" in group]
    assert set(done.dropped) == set(lost)
    assert all("its group has no sum: only 2 of 3 banks" in done.refused[bank] for bank in lost)
    assert len(done.contributors) == 9
    assert done.attempts == federation.experiment.attempts, "those of the group that has no sum are attempts too"


def test_where_too_few_groups_are_left_the_round_fails(small: Small) -> None:
    federation = opened(small(**GROUPED, drop=("bank-2@1:masked_input",)))
    with pytest.raises(DropoutError, match="only 2 groups of banks have a sum in round 1, and median needs 3 where 1"):
        one_round(federation)


def test_a_larger_group_goes_on_without_one_bank(small: Small) -> None:
    federation = opened(small(**(GROUPED | {"banks": 12, "group_size": 4}), drop=("bank-2@1:masked_input",)))
    done = one_round(federation)
    assert done.dropped == ("bank-2",)
    assert done.max_abs_error is not None
    assert done.mean.step is not None
    assert done.max_abs_error < 2 * done.mean.step, "the mean of that group is over three"


def test_custody_says_that_sums_of_groups_are_open(small: Small) -> None:
    custody = opened(small(**(GROUPED | {"banks": 10}))).custody
    assert custody.can_decrypt == {
        "banks": ("their own update", "what the rule makes of the groups' means"),
        "aggregator": ("the sum of each group of 3 or 4 banks",),
        "observer": ("the sum of each group of 3 or 4 banks, unless the transport encrypts it",),
    }
    assert (
        custody.summary == f"In groups of 3 or 4 banks, each with a sum of its own: {SCHEMES['masked'].custody.summary}"
    )
    assert any("the other banks in the sum of a group, which are 2 or more" in line for line in custody.broken_by)
    assert any("with none to spare one bank stops it" in line for line in custody.assumptions)
    assert any("what two sums share cancels" in line for line in custody.broken_by)


def test_custody_counts_the_fewest_banks_whose_sum_is_opened(small: Small) -> None:
    """Where a bank of a larger group is missing, fewer others subtract theirs."""
    federation = opened(small(**(GROUPED | {"banks": 12, "group_size": 4}), drop=("bank-2@1:masked_input",)))
    custody = federation.custody
    assert custody.can_decrypt["aggregator"] == (
        "the sum of each group of 4 banks, or of 3 of them where the others are missing",
    )
    assert any("which are 2 or more" in line for line in custody.broken_by)
    group = next(group for group in groups(federation) if "bank-2" in group)
    one_round(federation)
    done = federation.aggregation.transcript.uploads(1)
    assert len([bank for bank in group if bank != "bank-2" and bank in done]) - 1 == 2


def test_whoever_chooses_the_seed_puts_a_bank_among_its_own(small: Small) -> None:
    names = tuple(f"bank-{n}" for n in range(1, 10))
    meant = ("bank-1", "bank-8", "bank-9")
    assert any(meant in groups_of(names, 3, seed, 1) for seed in range(1_000))
    assert any("whoever chooses the seed" in line for line in opened(small(**GROUPED)).custody.broken_by)


@pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])
def test_sums_over_the_same_uploads_are_opened_in_the_turns_of_two_groups(scheme: str, small: Small) -> None:
    """What custody warns of: no attempt fails, and no round is repeated."""
    federation = opened(small(**(GROUPED | {"scheme": scheme})))
    aggregation, model = federation.aggregation, federation.start.model
    whole = aggregation.cohort(1, model.codec(aggregation.plan).length, model.digest)
    first, second = (aggregation.group(whole, banks, 3, turn) for turn, banks in enumerate(groups(federation)[:2]))
    rng = np.random.default_rng(1)
    values = [rng.integers(0, 256, whole.plan.parameters) for _ in first.banks]
    uploads = [sent(aggregation, first, bank, row) for bank, row in zip(first.banks, values, strict=True)]
    made_up = sent(aggregation, first, first.banks[0], np.zeros_like(values[0]))
    everybody = authority_opens(aggregation, first, uploads)
    others = authority_opens(aggregation, second, [made_up, *uploads[1:]])
    assert (everybody - others == values[0]).all()
    said = [line for line in federation.custody.broken_by if "in the turns of several groups of one round" in line]
    assert said
    assert not set(said) & set(opened(small(**GROUPED)).custody.broken_by), "masks belong to a group"


def sent(aggregation: SecureAggregation, cohort: Cohort[Any], bank: str, values: Any) -> memoryview:
    """The ciphertexts of an upload."""
    answer = aggregation.client(cohort, bank, values).respond(seal(cohort, UPLOAD, AGGREGATOR, bank))
    return open_message(cohort, answer, recipient=AGGREGATOR, sender=bank).payload


def authority_opens(aggregation: SecureAggregation, cohort: Cohort[Any], uploads: list[memoryview]) -> Any:
    """The sum of uploads, opened as that of the cohort's group."""
    deployed: Any = aggregation.deployed
    adder = Adder(cohort.plan)
    for upload in uploads:
        adder.add(upload)
    payload = [len(uploads).to_bytes(4, "little"), *pack_sum(cohort.plan, adder.total())]
    asked = seal(cohort, DECRYPT, AGGREGATOR, KEY_AUTHORITY, payload)
    answer = deployed.trustees(cohort)[KEY_AUTHORITY].respond(asked)
    summed = open_message(cohort, answer, recipient=AGGREGATOR, sender=KEY_AUTHORITY).payload
    return unpack_bits(summed, cohort.plan.field_bits, cohort.plan.parameters)


def test_updates_that_repeat_are_told_apart_by_the_sums_of_two_rounds(small: Small) -> None:
    """What custody warns of: a bank whose group loses one and gains another shows the difference of these two."""
    names = tuple(f"bank-{n}" for n in range(1, 7))
    rng = np.random.default_rng(1)
    same = {bank: rng.normal(size=4) for bank in names}
    rounds = [groups_of(names, 2, 3, round_) for round_ in range(1, 40)]
    equations = np.array([[bank in group for bank in names] for found in rounds for group in found], dtype=float)
    sums = equations @ np.array([same[bank] for bank in names])
    solved, *_ = np.linalg.lstsq(equations, sums, rcond=None)
    assert np.allclose(solved, [same[bank] for bank in names])


def test_two_banks_that_work_together_are_alone_with_one_after_the_other_in_enough_rounds(small: Small) -> None:
    """What custody warns of: groups of three, drawn anew, and a seed that draws them so in the first round."""
    custody = opened(small(**GROUPED)).custody
    assert any("for one bank after the other" in line for line in custody.broken_by)
    names = tuple(f"bank-{n}" for n in range(1, 10))

    def alone_with(seed: int, round_: int) -> set[str]:
        found = next(group for group in groups_of(names, 3, seed, round_) if "bank-1" in group)
        return {*found} - {"bank-1", "bank-2"} if "bank-2" in found else set()

    assert set().union(*(alone_with(3, round_) for round_ in range(1, 101))) == {*names[2:]}
    assert any(alone_with(seed, 1) == {"bank-9"} for seed in range(200))
