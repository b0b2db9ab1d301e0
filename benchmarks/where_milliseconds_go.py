"""What each step of a homomorphic sum takes, in milliseconds of one processor; `where_bytes_go --measure` stores it.

All steps of a scheme are run in turn, several times, and the smallest time of each stands: what is more than that is
the machine's. A client's and the key authority's times are those of one party, the server's those of all banks.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from tenseal import sealapi

from secure_fl.bench.machine import describe_machine
from secure_fl.secagg.budget import HePlan, SealPlan
from secure_fl.secagg.hazmat.he_words import words_of
from secure_fl.secagg.he.encoding import decode_slots, encode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import PublicKey, SealPublicKey, load_public_key
from secure_fl.secagg.he.secret_keys import new_secret_key
from secure_fl.secagg.he.words import Adder, pack_sum, pack_upload, unpack_sum
from secure_fl.secagg.packing import IntVector, pack_bits, pack_fields
from secure_fl.secagg.planning import plan

STORED = Path(__file__).parents[1] / "docs" / "figures" / "where-bytes-go.json"
REPEAT = 7
CLIENT, SERVER, AUTHORITY = "a bank", "aggregator, all banks", "key authority"
DIGITS, ENCRYPT, PACK = "digits into coefficients or slots", "encrypt", "pack words"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Step:
    """One step of one party; milliseconds by scheme, where it has the step."""

    party: str
    step: str
    milliseconds: Mapping[str, float]


class Clock:
    """The smallest time of each step so far."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], float] = defaultdict(lambda: float("inf"))

    def __call__(self, party: str, step: str, work: Callable[[], Result]) -> Result:
        started = time.process_time()
        result = work()
        self.note(party, step, 1e3 * (time.process_time() - started))
        return result

    def note(self, party: str, step: str, milliseconds: float) -> None:
        self.found[party, step] = min(self.found[party, step], milliseconds)


def measure(schemes: Sequence[str], banks: int, parameters: int, bits: int, repeat: int = REPEAT) -> dict[str, Any]:
    """Steps in the order in which they are done, with the machine and the size."""
    clocks = {scheme: Clock() for scheme in schemes}
    for scheme, clock in clocks.items():
        run(scheme, banks, parameters, bits, repeat, clock)
    longest = max(clocks.values(), key=lambda clock: len(clock.found))
    order = dict.fromkeys([*longest.found, *(key for clock in clocks.values() for key in clock.found)])
    steps = [
        Step(*key, {name: clock.found[key] for name, clock in clocks.items() if key in clock.found})
        for key in sorted(order, key=lambda key: (CLIENT, SERVER, AUTHORITY).index(key[0]))
    ]
    sizes = {"banks": banks, "parameters": parameters, "bits": bits, "repeat": repeat}
    return {"machine": describe_machine(), **sizes, "steps": [asdict(step) for step in steps]}


def run(scheme: str, banks: int, parameters: int, bits: int, repeat: int, clock: Clock) -> None:
    """Each bank's upload is its own: that of one, added as often, would have more noise than a plan has to bear."""
    planned = cast("HePlan", plan(scheme, banks, parameters, bits))
    secret = new_secret_key(planned.parameters_of_context)
    public = load_public_key(secret.public_key(), planned.parameters_of_context)
    values = np.random.default_rng(0).integers(0, 1 << bits, (banks, parameters))
    uploads = [memoryview(_joined(pack_upload, planned, public.encrypt(planned, row))) for row in values]
    for _ in range(repeat):
        halves = _encrypted(planned, public, values[0], clock)
        uploads[0] = memoryview(clock(CLIENT, PACK, partial(_joined, pack_upload, planned, halves)))
        summed = memoryview(_added(planned, uploads, clock))
        total = clock(AUTHORITY, "unpack words", partial(unpack_sum, planned, summed, banks))
        opened = clock(AUTHORITY, "decrypt", partial(secret.decrypt, planned, total))
        found = clock(AUTHORITY, "round, and take digits apart", partial(decode_slots, planned, opened, banks))
        clock(AUTHORITY, "pack the sum", partial(pack_bits, found, planned.field_bits))
        assert (found == values.sum(axis=0)).all()


def _encrypted(planned: HePlan, public: PublicKey, values: IntVector, clock: Clock) -> Halves:
    """SEAL's step by step; of our own the rest of it after digits."""
    if not isinstance(public, SealPublicKey):
        started = time.process_time()
        halves = public.encrypt(planned, values)
        took = 1e3 * (time.process_time() - started)
        clock(CLIENT, DIGITS, partial(pack_fields, values, planned.fields_per_slot, planned.field_base))
        clock.note(CLIENT, ENCRYPT, took - clock.found[CLIENT, DIGITS])
        return halves
    context, ciphertexts = public.context, list[sealapi.Ciphertext]()

    def encrypt() -> None:
        for plaintext in plaintexts:
            ciphertexts.append(sealapi.Ciphertext())
            context._encryptor.encrypt(plaintext, ciphertexts[-1])

    slots = clock(CLIENT, DIGITS, partial(encode_slots, cast("SealPlan", planned), values))
    plaintexts = clock(CLIENT, "encode, into SEAL", lambda: [context._plaintext(row) for row in slots])
    clock(CLIENT, ENCRYPT, encrypt)
    words = clock(CLIENT, "out of SEAL", lambda: np.stack([words_of(each) for each in ciphertexts], axis=1))
    return Halves(words[0].reshape(-1), words[1].reshape(-1))


def _added(planned: HePlan, uploads: Sequence[memoryview], clock: Clock) -> bytes:
    adder = Adder(planned)

    def add() -> None:
        for upload in uploads:
            adder.add(upload)

    clock(SERVER, "unpack and add", add)
    return clock(SERVER, "reduce and pack", lambda: _joined(pack_sum, planned, adder.total()))


def _joined(pack: Callable[[HePlan, Halves], Iterator[bytes]], planned: HePlan, halves: Halves) -> bytes:
    return b"".join(pack(planned, halves))
