"""Federations of real processes end with the very model that the same experiment has in memory, whoever is killed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from secure_fl import Experiment, run_federation
from secure_fl.training import usual_learner
from tests.transport.federation import SMALL, Processes, federation

pytestmark = pytest.mark.slow


@cache
def in_memory(**settings: object) -> np.ndarray:
    """The weights of the same run in one process."""
    result = run_federation(Experiment(**{**SMALL, **settings}))  # type: ignore[arg-type]
    return result.model.weights


def weights(parties: Processes, bank: str) -> np.ndarray:
    learner = usual_learner(parties.roster.settings)
    module = learner.restore(learner.initial(0))
    tensors = parties.model(bank)
    return np.concatenate([tensors[name].reshape(-1) for name in module.state_dict()])


@pytest.mark.parametrize("scheme", ["masked", "ckks", "additive", "plaintext"])
def test_a_federation_on_a_network_is_the_one_in_memory(tmp_path: Path, scheme: str) -> None:
    with federation(tmp_path, scheme=scheme) as parties:
        parties.finish()
        assert parties.rounds() == [0, 1, 2, 3]
        for bank in parties.roster.settings.bank_names:
            assert (weights(parties, bank) == in_memory()).all()


def test_a_gateway_that_is_killed_goes_on_after_the_last_round(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="ckks", rounds=4) as parties:
        for number in (1, 2):
            parties.wait_for_round(number)
            parties.kill("gateway")
            parties.start_gateway()
        parties.finish()
        assert sorted(set(parties.rounds())) == [0, 1, 2, 3, 4]
        assert (weights(parties, "bank-1") == in_memory(rounds=4)).all()


def test_a_key_authority_that_is_killed_comes_back_with_another_key(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="ckks", rounds=4) as parties:
        parties.wait_for_round(1)
        parties.kill("key-authority")
        parties.start("key-authority")
        parties.finish()
        assert (weights(parties, "bank-2") == in_memory(rounds=4)).all()


def test_the_others_go_on_without_a_bank_that_is_killed_and_with_it_when_it_is_back(tmp_path: Path) -> None:
    with federation(tmp_path, scheme="masked", rounds=8) as parties:
        parties.wait_for_round(1)
        parties.kill("bank-3")
        parties.wait_for_round(3)
        parties.start("bank-3")
        parties.finish()
        assert (weights(parties, "bank-3") == weights(parties, "bank-1")).all()
