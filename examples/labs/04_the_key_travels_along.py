"""WEAK ON PURPOSE, never use it: the secret key travels inside of the context.

`context.serialize(save_secret_key=True)` is one word away from the right call, and everything works. Whoever holds the
context, here the aggregator, opens every update. In secure_fl a server half refuses a context with a secret key.
"""

from __future__ import annotations

import base64
import secrets

import tenseal as ts

TITLE = "The key travels along"
GOAL = "you are the aggregator: recover bank 2's update, 8 numbers, from what you were sent (base64)"


def instance() -> tuple[dict[str, str], list[int]]:
    return _setup(with_key=True)


def strong() -> tuple[dict[str, str], list[int]]:
    """The public context."""
    return _setup(with_key=False)


def _setup(with_key: bool) -> tuple[dict[str, str], list[int]]:
    context = ts.context(ts.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[40, 20, 40])
    context.global_scale = 2**30
    update = [secrets.randbelow(256) for _ in range(8)]
    sent = {
        "context": context.serialize(save_secret_key=with_key),
        "bank_2": ts.ckks_vector(context, update).serialize(),
    }
    return {name: base64.b64encode(data).decode() for name, data in sent.items()}, update
