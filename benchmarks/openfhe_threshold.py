"""OpenFHE's threshold BFV by its own Python bindings: a program for a Python that has openfhe, which need not be ours.

    OMP_NUM_THREADS=1 python benchmarks/openfhe_threshold.py --banks 10 --parameters 1000000 --bits 8 --holders 3

Says as JSON what a sum cost in processor time, the least of some sums, each of which is checked. It imports nothing of
the project: a wheel of openfhe is for one version of CPython, and that can be an older one.

Set for additions alone: no multiplications, and BV key switching, since HYBRID reserves a modulus for switches that
nobody makes. Several sums share a slot, as digits to a base that no sum reaches; of two such packings the one with
fewer bytes is taken. With a first modulus of 49 bits and the two of 60 bits that noise flooding adds, four sums a slot
fit the 218 bits of N = 8192. OpenFHE chooses N, for 128 bits by its table.

Exact: a holder's flooding noise is at most half the modulus over its first prime, and the step of a plaintext is the
modulus over the plaintext modulus; so holders times the plaintext modulus stay below the first prime.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import openfhe
from numpy.typing import NDArray

T = TypeVar("T")
SUMS_IN_A_SLOT = (2, 4)
FIRST_MODULUS_BITS = 49
LARGEST_ORDER = 1 << 15
"""Twice the largest N that is chosen here; a plaintext modulus that suits it suits smaller ones."""
REPEATS = 3


@dataclass(frozen=True)
class Asked:
    banks: int
    parameters: int
    bits: int
    holders: int
    default_noise: bool

    @property
    def base(self) -> int:
        return self.banks * ((1 << self.bits) - 1) + 1

    def slots(self, sums: int) -> int:
        return -(-self.parameters // sums)


class Federation:
    """All parties, over one context and a key of all holders."""

    def __init__(self, asked: Asked, sums: int) -> None:
        self._asked, self.sums = asked, sums
        self.modulus = prime_from(asked.base**sums)
        if asked.holders * self.modulus >= 1 << (FIRST_MODULUS_BITS - 1):
            raise ValueError(f"{sums} sums in a slot leave no room for the noise of {asked.holders} holders; use fewer")
        self._context = context_of(asked, self.modulus)
        self.degree = int(self._context.GetRingDimension())
        self.modulus_bits = math.ceil(math.log2(self._context.GetModulus()))
        pairs = [self._context.KeyGen()]
        for _ in range(1, asked.holders):
            pairs.append(self._context.MultipartyKeyGen(pairs[-1].publicKey))
        self._secrets, self._public = [pair.secretKey for pair in pairs], pairs[-1].publicKey

    @property
    def upload_bytes(self) -> int:
        return len(self.upload(np.zeros(1, np.int64))[0]) * -(-self._asked.slots(self.sums) // self.degree)

    def upload(self, values: NDArray[np.int64]) -> list[bytes]:
        slots = pack(values, self.sums, self._asked.base)
        slots[slots > self.modulus // 2] -= self.modulus
        parts = (slots[start : start + self.degree].tolist() for start in range(0, len(slots), self.degree))
        return [self._written(self._context.Encrypt(self._public, self._plain(part))) for part in parts]

    def add(self, uploads: Sequence[Sequence[bytes]]) -> list[bytes]:
        total = _read(uploads[0])
        for upload in uploads[1:]:
            for summed, ciphertext in zip(total, _read(upload), strict=True):
                self._context.EvalAddInPlace(summed, ciphertext)
        return [self._written(ciphertext) for ciphertext in total]

    def answer(self, holder: int, asked: Sequence[bytes]) -> list[bytes]:
        decrypt = self._context.MultipartyDecryptMain if holder else self._context.MultipartyDecryptLead
        return [self._written(part) for part in decrypt(_read(asked), self._secrets[holder])]

    def opened(self, answers: Sequence[Sequence[bytes]]) -> NDArray[np.int64]:
        fused = map(self._context.MultipartyDecryptFusion, map(list, zip(*map(_read, answers), strict=True)))
        slots = np.concatenate([np.array(plain.GetPackedValue(), np.int64) for plain in fused])
        slots[slots < 0] += self.modulus
        return unpack(slots, self.sums, self._asked.base)[: self._asked.parameters]

    def _plain(self, part: list[int]) -> Any:
        return self._context.MakePackedPlaintext(part)

    @staticmethod
    def _written(ciphertext: Any) -> bytes:
        return bytes(openfhe.Serialize(ciphertext, openfhe.BINARY))


def _read(messages: Sequence[bytes]) -> list[Any]:
    return [openfhe.DeserializeCiphertextString(message, openfhe.BINARY) for message in messages]


def context_of(asked: Asked, modulus: int) -> Any:
    parameters = openfhe.CCParamsBFVRNS()
    parameters.SetPlaintextModulus(modulus)
    parameters.SetMultiplicativeDepth(0)
    parameters.SetEvalAddCount(asked.banks - 1)
    parameters.SetKeySwitchTechnique(openfhe.BV)
    parameters.SetScalingModSize(FIRST_MODULUS_BITS)
    parameters.SetSecurityLevel(openfhe.HEStd_128_classic)
    parameters.SetThresholdNumOfParties(asked.holders)
    if not asked.default_noise:
        parameters.SetMultipartyMode(openfhe.NOISE_FLOODING_MULTIPARTY)
    context = openfhe.GenCryptoContext(parameters)
    for feature in (openfhe.PKE, openfhe.LEVELEDSHE, openfhe.ADVANCEDSHE, openfhe.MULTIPARTY):
        context.Enable(feature)
    return context


def prime_from(least: int) -> int:
    """The smallest prime from `least` on for which slots exist."""
    candidate = least + (1 - least) % LARGEST_ORDER
    while not (candidate % np.arange(3, math.isqrt(candidate) + 1, 2)).all():
        candidate += LARGEST_ORDER
    return candidate


def pack(values: NDArray[np.int64], sums: int, base: int) -> NDArray[np.int64]:
    """Each `sums` values as the digits of one slot."""
    padded = np.zeros((-(-len(values) // sums), sums), np.int64)
    padded.reshape(-1)[: len(values)] = values
    return padded @ (base ** np.arange(sums))


def unpack(slots: NDArray[np.int64], sums: int, base: int) -> NDArray[np.int64]:
    return (slots[:, None] // base ** np.arange(sums) % base).reshape(-1)


def measure(asked: Asked) -> dict[str, Any]:
    federation = min((Federation(asked, sums) for sums in SUMS_IN_A_SLOT), key=lambda made: made.upload_bytes)
    updates = np.random.default_rng(0).integers(0, 1 << asked.bits, (asked.banks, asked.parameters))
    found = [sum_once(federation, updates, asked.holders) for _ in range(REPEATS)]
    note = (
        f"openfhe {version('openfhe')}, N = {federation.degree:,}, a modulus of {federation.modulus_bits} bits, "
        f"{federation.sums} sums in a slot, a plaintext modulus of {federation.modulus.bit_length()} bits"
    )
    return {name: min(each[name] for each in found) for name in found[0]} | {"note": note}


def sum_once(federation: Federation, updates: NDArray[np.int64], holders: int) -> dict[str, float]:
    uploads = [_timed(partial(federation.upload, update)) for update in updates]
    asked, adding = _timed(lambda: federation.add([upload for upload, _ in uploads]))
    answers = [_timed(partial(federation.answer, holder, asked)) for holder in range(holders)]
    total, opening = _timed(lambda: federation.opened([answer for answer, _ in answers]))
    if not np.array_equal(total, updates.sum(axis=0)):
        raise ValueError("OpenFHE's sum is wrong")
    return {
        "client": min(ms for _, ms in uploads),
        "adding": adding,
        "holder": max(ms for _, ms in answers),
        "opening": opening,
        "upload_bytes": sum(map(len, uploads[0][0])),
        "answer_bytes": max(sum(map(len, answer)) for answer, _ in answers),
    }


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    done = work()
    return done, 1e3 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("banks", "parameters", "bits", "holders"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--default-noise", action="store_true", help="OpenFHE's own noise instead of noise flooding")
    print(json.dumps(measure(Asked(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
