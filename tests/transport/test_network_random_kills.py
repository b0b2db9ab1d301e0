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
ROUNDS = 20


def test_parties_killed_at_random_lose_no_round_and_make_no_sum_wrong(tmp_path: Path) -> None:
    """The seed is kept; that of the moments cannot be. Who missed a round is dropped from it in memory."""
    draw, kills = random.Random(14), 0
    with federation(tmp_path, scheme="ckks", rounds=ROUNDS, local_epochs=20) as parties:
        parties.wait_for_round(0)
        while (done := max(parties.rounds())) < ROUNDS and kills < 12:
            parties.wait_for_round(min(done + 1, ROUNDS))
            time.sleep(draw.uniform(0.0, 0.4))  # a round takes as long
            kill_and_start(parties, draw.choice(["gateway", *parties.parties]))
            kills += 1
        parties.finish()
        assert kills >= 8
        assert sorted(set(parties.rounds())) == list(range(ROUNDS + 1))
        last = StateStore(tmp_path / "state").load(parties.roster)
        assert last is not None
        banks = parties.roster.settings.bank_names
        missed = [
            f"{bank}@{n}:upload" for n, there in enumerate(last.contributors, 1) for bank in banks if bank not in there
        ]
        expected = in_memory(rounds=ROUNDS, local_epochs=20, scheme="ckks", drop=tuple(missed))
        for bank in banks:
            assert (weights(parties, bank) == expected).all(), missed


def kill_and_start(parties: Processes, name: str) -> None:
    if parties.running[name].poll() is not None:
        return  # it has ended, and well
    parties.kill(name)
    if name == "gateway":
        parties.start_gateway()
    else:
        parties.start(name)
