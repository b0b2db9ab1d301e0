"""Parties that are killed at random, in the middle of rounds: every round is finished, and every sum is right."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from secure_fl.transport.state import StateStore
from tests.transport.federation import Processes, federation
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow
ROUNDS, KILLS, EPOCHS = 20, 50, 60


def test_parties_killed_at_random_lose_no_round_and_make_no_sum_wrong(tmp_path: Path) -> None:
    """The seed is kept; that of the moments cannot be. Who missed a round is dropped from it in memory."""
    draw = random.Random(14)
    with federation(tmp_path, scheme="ckks", rounds=ROUNDS, local_epochs=EPOCHS) as parties:
        for kill in range(KILLS):
            parties.wait_for_round(kill * (ROUNDS - 4) // KILLS)  # nobody is to have ended
            time.sleep(draw.uniform(0.0, 0.5))  # about half a round
            kill_and_start(parties, draw.choice(["gateway", *parties.parties]))
        parties.finish()
        assert sorted(set(parties.rounds())) == list(range(ROUNDS + 1))
        last = StateStore(tmp_path / "state").load(parties.roster)
        assert last is not None
        banks = parties.roster.settings.bank_names
        missed = [
            f"{bank}@{n}:upload" for n, there in enumerate(last.contributors, 1) for bank in banks if bank not in there
        ]
        expected = in_memory(rounds=ROUNDS, local_epochs=EPOCHS, scheme="ckks", drop=tuple(missed))
        for bank in banks:
            assert (weights(parties, bank) == expected).all(), missed


def kill_and_start(parties: Processes, name: str) -> None:
    assert parties.running[name].poll() is None
    parties.kill(name)
    if name == "gateway":
        parties.start_gateway()
    else:
        parties.start(name)
