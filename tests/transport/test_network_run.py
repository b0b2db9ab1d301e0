"""Federations of real processes end with the very model that the same experiment has in memory, bit for bit."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from secure_fl import Experiment, run_federation
from secure_fl.data import Simulation, simulate, write_simulated
from secure_fl.report.scores import score_file
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
        assert_scores(parties, tmp_path)


def assert_scores(parties: Processes, folder: Path) -> None:
    """A bank's model file is one that `score` reads, with the features that it was trained on."""
    rows = folder / "rows.parquet"
    write_simulated(simulate(Simulation(transactions=500, fraud_share=0.05, seed=2)), rows)
    model = folder / "out-bank-1" / "model.safetensors"
    assert score_file(model, rows, folder / "scores.csv") == 500
