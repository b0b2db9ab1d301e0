"""Multi-Krum on ciphertexts chooses what Multi-Krum on plaintexts chooses, and its sum is exact."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from secure_fl.secagg.budget.krum import KrumPlan
from secure_fl.secagg.hazmat.he_public import EncryptedVector
from secure_fl.secagg.hazmat.he_totals import Total, total_of_square
from secure_fl.secagg.he.encoding import encode_slots
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.krum.distances import Distances
from secure_fl.secagg.packing import IntVector
from tests.secagg.krum.scene import MultiKrum, Scene, poisoned, squared_distances

SLOTS = 2048


@pytest.mark.slow
@pytest.mark.parametrize(
    ("banks", "parameters", "byzantine"),
    [(3, 1, 0), (3, SLOTS, 0), (5, SLOTS + 1, 1), (10, 2 * SLOTS, 3), (7, 2 * SLOTS + 1, 2), (10, 3 * SLOTS, 2)],
)
def test_the_chosen_banks_are_those_of_the_plaintext_rule_and_their_sum_is_exact(
    banks: int, parameters: int, byzantine: int
) -> None:
    scene = Scene(poisoned(banks, parameters, byzantine, seed=7), byzantine)
    outcome = scene.run()
    assert scene.chosen(outcome) == list(scene.rule(squared_distances(scene.updates), np.zeros((banks, banks))).chosen)
    assert outcome.sum.passed_over == set(scene.banks) - outcome.sum.contributors
    assert not outcome.refused


@pytest.mark.parametrize("bits", [4, 12, 16])
def test_other_widths_are_as_exact(bits: int) -> None:
    scene = Scene(poisoned(6, 3000, 1, seed=bits, bits=bits), 1, bits)
    assert scene.chosen(scene.run()) == list(scene.rule(squared_distances(scene.updates), np.zeros((6, 6))).chosen)


def test_the_extremes_of_the_range_are_summed_and_told_apart() -> None:
    """The largest distance that can be: all values of one bank at one end, all of another at the other."""
    updates = np.repeat([[0], [255], [0], [0], [0]], 2 * SLOTS, axis=1)
    assert Scene(updates).chosen(Scene(updates).run()) == [0, 2, 3, 4]


def totals_on_ciphertexts(scene: Scene, updates: IntVector) -> tuple[list[float], list[float]]:
    """Norms and distances that the key authority opens, by the steps of the protocol but without its messages."""
    plan, secret = scene.plan, scene.deployment._authority._secret
    loaded = [scene.public.vector(scene.encrypted_slots(encode_slots(plan, update))[0]) for update in updates]

    def opened(square: EncryptedVector) -> float:
        total = total_of_square(plan.parameters_of_context, square, scene.public)
        return secret.open_total(Total.load(plan.parameters_of_context, total.serialize(), power=2)) * plan.unit

    norms = [opened(one.squared()) for one in loaded]
    return norms, [opened(a.squared_difference(b)) for a, b in combinations(loaded, 2)]


@pytest.mark.slow
def test_in_a_thousand_random_cases_the_choice_differs_in_ties_only() -> None:
    """Sizes of 3 to 10 banks and 1 to 2,048 parameters, with every f that Krum allows; fresh ciphertexts each time."""
    rng = np.random.default_rng(11)
    scenes: dict[int, Scene] = {}
    different, tied = 0, 0
    for case in range(1000):
        banks = int(rng.integers(3, 11))
        byzantine = int(rng.integers(0, (banks - 3) // 2 + 1))
        parameters = int(rng.choice([1, 2, 17, 300, 1000, SLOTS]))
        scene = scenes.setdefault(parameters, Scene(np.zeros((10, parameters), dtype=np.int64)))
        updates = poisoned(banks, parameters, byzantine, seed=case)
        exact = squared_distances(updates)
        opened = Distances.measured(scene.plan, *totals_on_ciphertexts(scene, updates), [0.0] * banks)
        measured, errors = opened.among(list(range(banks)))
        assert (np.abs(measured - exact) <= errors).all(), "the planner's bound"
        rule = MultiKrum(byzantine)
        here, there = rule(measured, errors), rule(exact, np.zeros_like(exact))
        tied += bool(here.ties)
        if set(here.chosen) != set(there.chosen):
            different += 1
            assert set(here.chosen) ^ set(there.chosen) <= set(here.ties), "a difference that is no tie"
    assert different <= 1, f"{different} of 1,000 differ, {tied} report ties"


def test_the_noise_in_a_distance_has_the_deviation_that_the_bound_is_made_of() -> None:
    updates = poisoned(10, SLOTS, 0, seed=5)
    scene = Scene(updates)
    _, measured = totals_on_ciphertexts(scene, updates)
    exact = squared_distances(updates)[np.triu_indices(10, k=1)]
    deviation = 2 * np.sqrt(2) * 683 / 2**scene.plan.scale_bits * np.sqrt(exact)
    assert 0.5 < float(np.std((np.array(measured) - exact) / deviation)) < 1.6


def test_equal_updates_are_a_tie_that_only_the_key_authority_knows_of() -> None:
    updates = np.repeat(poisoned(1, 500, 0, seed=1), 5, axis=0)
    scene = Scene(updates)
    cohort = scene.cohort()
    outcome = scene.run(cohort=cohort)
    assert len(scene.chosen(outcome)) == 4
    assert set(scene.deployment.authority(cohort).ties) == set(scene.banks)
    assert scene.deployment.authority(scene.cohort(round_=2)).ties == ()


def test_clear_cases_report_no_tie() -> None:
    scene = Scene(poisoned(6, 1500, 1, seed=1), 1)
    cohort = scene.cohort()
    scene.run(cohort=cohort)
    assert scene.deployment.authority(cohort).ties == ()


def test_a_deployment_serves_many_rounds() -> None:
    scene = Scene(poisoned(5, 100, 1, seed=3))
    for round_ in (1, 2, 5):
        assert len(scene.chosen(scene.run(cohort=scene.cohort(round_)))) == 4


def test_the_messages_are_as_long_as_planned() -> None:
    scene = Scene(poisoned(5, 3000, 1, seed=3))
    cohort = scene.cohort()
    assert isinstance(scene.plan, KrumPlan)
    stage = scene.deployment.server(cohort)
    first = next(stage)
    parties = scene.parties(cohort)
    uploads = [(bank, parties[bank].respond(asked)) for bank, asked in first.requests.items()]
    assert all(len(data) <= scene.plan.upload_bytes for _, data in uploads)
    asked = stage.send(iter(uploads))
    assert 0 <= scene.plan.totals_bytes - len(asked.requests[KEY_AUTHORITY]) < 256
    answer = parties[KEY_AUTHORITY].respond(asked.requests[KEY_AUTHORITY])
    assert len(answer) < 128 + 16 + 2 * len(scene.banks)
