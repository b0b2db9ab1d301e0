"""The secure sums in any Flower app of the Message API (Flower 1.41, the extra `flower`).

    from secure_fl.transport.flower import SecureStrategy, secure_mod

    strategy = SecureStrategy(FedAvg(), scheme="ckks", bits=16, most_examples=10_000)    # in the ServerApp
    app = ClientApp(mods=[secure_mod])                                                   # in the ClientApp

    strategy        wraps a strategy of Flower: banks train, their updates are summed, it gets the mean as one reply
    grid            the nodes by the names of their parties, and a carrier of a sum's messages
    mod             what a node does with each message: a bank's node trains and takes part, a key holder's opens sums
    bank, trustee   these two
    node, memory    who a node is, and what it keeps from one message to the next
    terms, records  what a round agrees on, and messages as Flower's records
    outcomes        what came of the rounds: who was in them, transcript, custody

docs/flower.md says what this protects, from whom, and what not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secure_fl.transport.flower.mod import SecureMod, secure_mod
    from secure_fl.transport.flower.strategy import SecureStrategy

__all__ = ["SecureMod", "SecureStrategy", "secure_mod"]

_HOMES = {"SecureMod": "mod", "SecureStrategy": "strategy", "secure_mod": "mod"}


def __getattr__(name: str) -> Any:
    """Import on first use, so that a ServerApp loads no half of a bank, and a ClientApp none of the aggregator."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "flwr":
            raise
        raise ModuleNotFoundError("Flower is not installed; pip install 'secure-fl[flower]'", name="flwr") from None
