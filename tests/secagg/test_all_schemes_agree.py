"""All schemes return the same integers, bit for bit, committees too: 2,000 random cases, of 3 banks to 10,000."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.secagg import SCHEMES, plan, simulate
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import SecureSum, run_protocol
from secure_fl.secagg.schemes import scheme_of
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session
from tests.secagg.parties import Parties, he_plan

pytestmark = pytest.mark.slow

HOMOMORPHIC = ("ckks", "bfv", "rlwe")
WITH_COMMITTEES = ("additive", "bfv", "ckks")
COMMITTEES = ((2, 2), (3, 2), (4, 3))
"""Holders and quorum."""
PARTS = 10
FEW_BANKS, MANY_BANKS = (9, 22), (1, 2)
"""Federations in each part, and sums under the keys of each: 10 x (9 x 22 + 1 x 2) = 2,000 cases in all."""


def test_the_schemes_that_are_compared_are_all_that_there_are() -> None:
    assert set(SCHEMES) == {"plaintext", "additive", "masked", *HOMOMORPHIC}
    assert {name for name, scheme in SCHEMES.items() if scheme.with_committee is not None} == set(WITH_COMMITTEES)


def values(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> IntVector:
    """Random ones, and edges: all zero, all of the largest value, or some of both."""
    largest, kind = (1 << bits) - 1, rng.integers(5)
    drawn = rng.integers(0, largest + 1, shape)
    if kind == 0:
        drawn[rng.random(shape) < 0.5] = largest
    elif kind == 1:
        drawn[rng.random(shape) < 0.5] = 0
    elif kind == 2:
        drawn[:] = largest * rng.integers(2)
    return drawn


def length(rng: np.random.Generator) -> int:
    """Mostly short vectors, and those around what words and ciphertexts hold."""
    return int(rng.choice([1, 2, 7, 63, 64, 65, 500, 2049, int(1 + 9000 * rng.random() ** 3)]))


def lost_rows(rng: np.random.Generator, banks: int) -> frozenset[int]:
    """Who vanishes before sending anything that counts: nobody, or some, and a majority stays."""
    count = int(rng.integers(0, (banks + 1) // 2)) if rng.random() < 0.5 else 0
    return frozenset(map(int, rng.choice(banks, count, replace=False)))


class Federation:
    """A scheme with its keys made."""

    def __init__(
        self, scheme: str, banks: int, parameters: int, bits: int, committee: tuple[int, int] | None = None
    ) -> None:
        holders, quorum = committee or (None, None)
        self.plan = plan(scheme, banks, parameters, bits, holders=holders, quorum=quorum)
        self.scheme = scheme_of(scheme, self.plan.committee if committee else None)
        self.deployed, self.session = self.scheme.deploy(self.plan), new_session()
        self.banks = tuple(f"bank-{row}" for row in range(banks))
        self.may_be_silent = 0
        if committee:
            self.may_be_silent = committee[0] - committee[1]
            self.deployed.setup(self.scheme.cohort(self.plan, 0, self.banks, session=self.session), Transcript())

    def sum(self, round_: int, updates: IntVector, lost: frozenset[int], silent: int) -> SecureSum:
        """Without the first of the holders where so many may be silent."""
        cohort = self.scheme.cohort(self.plan, round_, self.banks, session=self.session)
        clients = {bank: self.deployed.client(cohort, bank, row) for bank, row in zip(self.banks, updates, strict=True)}
        parties = {**clients, **self.deployed.trustees(cohort)}
        drop = {self.banks[row]: self.scheme.input_stage for row in lost}
        drop |= {name: self.scheme.trustee_stages[name] for name in cohort.trustees[:silent]}
        return run_protocol(cohort, self.deployed.server(cohort), parties, Transcript(), drop).sum


@pytest.mark.parametrize("part", range(PARTS))
def test_every_scheme_returns_the_same_sum(part: int) -> None:
    rng = np.random.default_rng(part)
    for plans, rounds in (FEW_BANKS, MANY_BANKS):
        for _ in range(plans):
            banks = int(rng.integers(3, 6) if rounds > 2 else rng.integers(6, 61))
            agree(rng, banks, rounds)


def agree(rng: np.random.Generator, banks: int, rounds: int) -> None:
    parameters, bits = length(rng), int(rng.integers(4, 25))
    federations = [Federation(scheme, banks, parameters, bits) for scheme in SCHEMES]
    committee = COMMITTEES[rng.integers(len(COMMITTEES))]
    federations += [Federation(scheme, banks, parameters, bits, committee) for scheme in WITH_COMMITTEES]
    for round_ in range(1, rounds + 1):
        updates, lost = values(rng, (banks, parameters), bits), lost_rows(rng, banks)
        kept = sorted(set(range(banks)) - lost)
        exact = updates[kept].sum(axis=0)
        for federation in federations:
            found = federation.sum(round_, updates, lost, int(rng.integers(federation.may_be_silent + 1)))
            assert found.contributors == {federation.banks[row] for row in kept}, federation.plan
            assert np.array_equal(found.total, exact), federation.plan


@pytest.mark.parametrize("bits", [4, 8, 16, 24])
def test_simulated_sums_agree_too(bits: int) -> None:
    """With fresh keys, over 60 banks at most."""
    rng = np.random.default_rng(bits)
    for banks in (3, 11, 60):
        updates, lost = values(rng, (banks, 100), bits), lost_rows(rng, banks)
        exact = updates[sorted(set(range(banks)) - lost)].sum(axis=0)
        for scheme in SCHEMES:
            drop = dict.fromkeys(lost, SCHEMES[scheme].input_stage)
            assert np.array_equal(simulate(scheme, updates, bits=bits, drop=drop).total, exact), scheme


@pytest.mark.parametrize(("banks", "bits"), [(100, 8), (300, 16), (1_000, 4), (3_000, 21), (10_000, 8)])
def test_the_homomorphic_ones_do_so_for_many_banks(banks: int, bits: int) -> None:
    """By adding uploads as the aggregator does, each of them twice.

    That leaves hardly more noise than as many distinct ones have; of some tens added hundreds of times, as much as no
    honest sum has, the planner promises nothing.
    """
    rng = np.random.default_rng(banks)
    contributors = banks // 2 * 2 - int(rng.integers(0, banks // 5)) * 2
    rows = values(rng, (contributors // 2, int(rng.choice([1, 65, 2000]))), bits)
    for scheme in HOMOMORPHIC:
        there = Parties(he_plan(scheme, banks, rows.shape[1], bits))
        uploads = (upload for row in rows for upload in [there.upload(row)] * 2)
        assert np.array_equal(there.opened(there.summed(uploads), contributors), 2 * rows.sum(axis=0)), scheme
