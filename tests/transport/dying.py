"""`python -m secure_fl gateway | bank | key-authority`, by a party that kills itself (SIGKILL) at each stage, once.

DIES names the party: others that run this are as ever. In round 1 it dies at the first of `STAGES`, in round 2 at the
second, and so on. A bank dies when it is asked, a gateway when one of those that it asked has answered, and in `KEEP`
when the sum is opened and nothing of it is written down. NAME.died-N says that it did so.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from secure_fl.__main__ import main
from secure_fl.secagg.masked import wire
from secure_fl.secagg.protocol import Answer
from secure_fl.transport.bank import BankParty
from secure_fl.transport.carrier import NetworkCarrier
from secure_fl.transport.coordinator import Coordinator
from secure_fl.transport.orders import ASK, MODEL, Order
from secure_fl.transport.state import State, StateStore

CONFIG = Path(sys.argv[-1])
KEEP = "keep"
STAGES = {"gateway": (MODEL, *wire.STAGES, KEEP), "bank-3": (MODEL, *wire.STAGES)}


def die(round_: int, stage: str) -> None:
    stages = STAGES[CONFIG.stem] if os.environ.get("DIES") == CONFIG.stem else ()
    said = CONFIG.with_suffix(f".died-{round_}")
    if 1 <= round_ <= len(stages) and stages[round_ - 1] == stage and not said.exists():
        said.touch()
        os.kill(os.getpid(), signal.SIGKILL)


as_ever = BankParty.__call__
carry = NetworkCarrier.carry
collect = Coordinator._collect
save = StateStore.save


def asked(self: BankParty, order: Order) -> bytes:
    if order.about is not None:
        die(order.about.round, str(order.facts["stage"]) if order.kind == ASK else order.kind)
    return as_ever(self, order)


def carried(self: NetworkCarrier, stage: str, requests: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Answer]]:
    for answer in carry(self, stage, requests):
        die(self._cohort.round, stage)
        yield answer


def collected(self: Coordinator, *given: Any) -> Iterator[tuple[str, bytes]]:
    for answer in collect(self, *given):
        if (standing := next(iter(self._post.standings().values())).asked) and standing.kind == MODEL:
            die(standing.round or 0, MODEL)
        yield answer


def saved(self: StateStore, state: State) -> None:
    die(state.round, KEEP)
    save(self, state)


if __name__ == "__main__":  # tests that import the stages are as ever
    BankParty.__call__ = asked  # type: ignore[method-assign]
    NetworkCarrier.carry = carried  # type: ignore[method-assign]
    Coordinator._collect = collected  # type: ignore[method-assign,assignment]
    StateStore.save = saved  # type: ignore[method-assign]
    main()
