"""What is derived from what: every input of a hash changes what comes out, and nothing is used twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.proofs.fiat_shamir import derive, joint_part, joint_randomness, joint_seed
from secure_fl.secagg.proofs.shares import expanded_inputs, expanded_proofs
from tests.secagg.proofs.scene import Scene, drawn

SEED = bytes(range(32))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(drawn(3, 20), norm_bound=50.0)


def variants(scene: Scene) -> Iterator[tuple[Cohort[Any], str, int, list[bytes]]]:
    """Each differs from the first in one thing."""
    yield scene.cohort(), "bank-1", 0, [SEED, b"share"]
    yield scene.cohort(attempt=2), "bank-1", 0, [SEED, b"share"]
    yield scene.cohort(round_=2), "bank-1", 0, [SEED, b"share"]
    yield scene.cohort(), "bank-2", 0, [SEED, b"share"]
    yield scene.cohort(), "bank-1", 1, [SEED, b"share"]
    yield scene.cohort(), "bank-1", 0, [SEED[::-1], b"share"]
    yield scene.cohort(), "bank-1", 0, [SEED, b"shave"]
    yield scene.cohort(), "bank-1", 0, [SEED]


def test_a_part_depends_on_attempt_bank_party_and_all_of_the_share(scene: Scene) -> None:
    parts = [joint_part(*variant) for variant in variants(scene)]
    assert len(set(parts)) == len(parts)
    assert {len(part) for part in parts} == {32}
    assert joint_part(*next(variants(scene))) == parts[0]


def test_a_part_is_the_hash_that_it_is_said_to_be(scene: Scene) -> None:
    cohort = scene.cohort()
    number = cohort.parties.index("bank-3").to_bytes(2, "little")
    expected = hashlib.sha256(b"secure_fl joint part" + cohort.digest + number + b"\x02" + SEED).digest()
    assert joint_part(cohort, "bank-3", 2, [SEED]) == expected
    expected = hashlib.sha256(b"secure_fl joint seed" + cohort.digest + number + b"onetwo").digest()
    assert joint_seed(cohort, "bank-3", [b"one", b"two"]) == expected


def test_the_joint_seed_depends_on_each_part_and_their_order(scene: Scene) -> None:
    parts = [bytes([n]) * 32 for n in range(3)]
    seeds = [joint_seed(scene.cohort(), bank, parts) for bank in scene.banks]
    seeds += [joint_seed(scene.cohort(attempt=2), "bank-1", parts)]
    seeds += [joint_seed(scene.cohort(), "bank-1", [*parts[:n], b"x" * 32, *parts[n + 1 :]]) for n in range(3)]
    seeds += [joint_seed(scene.cohort(), "bank-1", [parts[1], parts[0], parts[2]])]
    assert len(set(seeds)) == len(seeds)


def test_no_two_proofs_and_no_two_purposes_have_the_same_randomness(scene: Scene) -> None:
    plan = scene.plan
    joint = joint_randomness(plan, SEED)
    assert joint.shape == (plan.proofs, plan.circuit.joint_length)
    assert len(np.unique(joint)) == joint.size
    streams = [joint.reshape(-1), expanded_inputs(plan, SEED), expanded_proofs(plan, SEED).reshape(-1)]
    for one, other in combinations(streams, 2):
        assert not np.intersect1d(one, other).size
    assert len({derive(SEED, purpose) for purpose in (b"a", b"b", b"")}) == 3
    assert derive(SEED, b"a") != derive(SEED[::-1], b"a")


@pytest.mark.parametrize("expanded", [expanded_inputs, expanded_proofs, joint_randomness])
def test_what_is_expanded_is_of_its_seed(scene: Scene, expanded: Callable[..., Any]) -> None:
    assert (expanded(scene.plan, SEED) == expanded(scene.plan, SEED)).all()
    assert not np.intersect1d(expanded(scene.plan, SEED), expanded(scene.plan, SEED[::-1])).size
