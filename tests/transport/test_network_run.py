"""Federations of real processes end with the very model that the same experiment has in memory, bit for bit."""

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
