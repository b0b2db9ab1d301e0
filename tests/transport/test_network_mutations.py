"""Thousands of mutated answers through a running gateway: rounds end all the same, and no sum is wrong."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest

from secure_fl.transport import starting_party
from secure_fl.transport.configuration import BankFile
from secure_fl.transport.orders import Order
from secure_fl.transport.party import Connection
from secure_fl.transport.state import StateStore
from tests.transport.federation import federation
from tests.transport.mutations import drawn, mutated
from tests.transport.test_network_run import in_memory, weights

pytestmark = pytest.mark.slow
BAD, COPIES = "bank-4", 180


class Mutating(Connection):
    """A bank's, whose answers are sent many times over and never as they are. The seed is kept.

    But for those before round 1: no federation begins before all banks have said the same of their columns, and a run
    in memory has no dropouts from round 0.
    """

    draw = random.Random(14)
    codes: ClassVar[Counter[int]] = Counter()
    """Status codes of the gateway."""

    def answer(self, order: Order, data: bytes) -> None:
        if order.about is None or order.about.round == 0:
            return super().answer(order, data)
        for _ in range(COPIES):
            content = mutated(data, drawn(self.draw))
            answer, _ = self._asked("POST", f"/answers/{order.number}", params={"epoch": self._epoch}, content=content)
            self.codes[answer.status_code] += 1
        self._after = order.number
        return None


def test_mutated_answers_stop_no_round_and_change_no_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the copies of one answer the first counts, and is that bank's word in the sum or its dropout."""
    monkeypatch.setattr(starting_party, "Connection", Mutating)
    settings: dict[str, Any] = {"scheme": "masked", "banks": 4, "rounds": 12}
    with federation(tmp_path, extra="requests_per_second = 10000", **settings) as parties:
        parties.kill(BAD)  # before it takes part: the one in this process does so in its place
        file = BankFile.read(tmp_path / f"{BAD}.toml").model_copy(update={"memory": tmp_path / "memory"})
        threading.Thread(target=starting_party.run_bank, args=(file,), daemon=True).start()
        parties.finish(60)
        assert parties.rounds() == list(range(13))
        assert "Traceback" not in parties.log("gateway")
        last = StateStore(tmp_path / "state").load(parties.roster)
        assert last is not None
        missed = tuple(f"{BAD}@{n}:masked_input" for n, there in enumerate(last.contributors, 1) if BAD not in there)
        assert all({"bank-1", "bank-2", "bank-3"} <= set(there) for there in last.contributors)
        assert len(missed) >= 10
        assert (weights(parties, "bank-1") == in_memory(**settings, drop=missed)).all()
    assert Mutating.codes.keys() == {204, 409}
    assert Mutating.codes.total() >= 3_000
