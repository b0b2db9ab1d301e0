"""The draft's own answers: proofs, verifier's shares and sums of draft-irtf-cfrg-vdaf, bit for bit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl.secagg.proofs.circuit import Circuit
from secure_fl.secagg.proofs.field import PRIME, FieldArray, add, subtract, to_bytes
from secure_fl.secagg.proofs.flp import Query, decide, prove, query
from tests.secagg.proofs.turboshake import sponge, turboshake128

VECTORS = json.loads((Path(__file__).parent / "draft_vectors.json").read_text(encoding="utf-8"))["vectors"]
PROOFS = 3
VERSION, ALGORITHM = 18, 0xFFFFFFFF
MEAS, PROOF, JOINT, PROVE, QUERY, SEED, PART = range(1, 8)
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['length']} x {v['max_measurement']}")


class Draft:
    """What section 7.2 derives, by its own XOF, for one report."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.vector, self.shares = vector, vector["shares"]
        bits = vector["max_measurement"].bit_length()
        self.circuit = Circuit(vector["length"], bits, None, vector["chunk_length"])
        seeds = bytes.fromhex(vector["rand"])
        cut = [seeds[start : start + 32] for start in range(0, len(seeds), 32)]
        self.helpers, (self.leader_blind, self.prove_seed) = cut[: 2 * (self.shares - 1) : 2], cut[-2:]
        self.helper_blinds = cut[1 : 2 * (self.shares - 1) : 2]
        self.nonce = bytes.fromhex(vector["nonce"])

    def stream(self, seed: bytes, usage: int, binder: bytes, length: int) -> bytes:
        tag = bytes([VERSION, 0]) + ALGORITHM.to_bytes(4, "big") + usage.to_bytes(2, "big")
        tag += bytes.fromhex(self.vector["ctx"])
        return turboshake128(len(tag).to_bytes(2, "little") + tag + bytes([len(seed)]) + seed + binder, 1, length)

    def elements(self, seed: bytes, usage: int, binder: bytes, count: int) -> FieldArray:
        words = np.frombuffer(self.stream(seed, usage, binder, 8 * (count + 2)), dtype="<u8")
        return words[words < np.uint64(PRIME)][:count]

    def inputs(self) -> FieldArray:
        return self.circuit.encode(np.array(self.vector["measurement"]))

    def shares_of_inputs(self) -> list[FieldArray]:
        others = [
            self.elements(seed, MEAS, bytes([j]), self.circuit.inputs) for j, seed in enumerate(self.helpers, start=1)
        ]
        leader = self.inputs()
        for other in others:
            leader = subtract(leader, other)
        return [leader, *others]

    def joint_parts(self) -> list[bytes]:
        blinds = [self.leader_blind, *self.helper_blinds]
        return [
            self.stream(blind, PART, bytes([j]) + self.nonce + to_bytes(share), 32)
            for j, (blind, share) in enumerate(zip(blinds, self.shares_of_inputs(), strict=True))
        ]

    def joint(self) -> FieldArray:
        seed = self.stream(bytes(32), SEED, b"".join(self.joint_parts()), 32)
        return self.elements(seed, JOINT, bytes([PROOFS]), PROOFS * self.circuit.joint_length).reshape(PROOFS, -1)

    def proofs(self) -> FieldArray:
        seeds = self.elements(self.prove_seed, PROVE, bytes([PROOFS]), PROOFS * self.circuit.arity).reshape(PROOFS, -1)
        pairs = zip(seeds, self.joint(), strict=True)
        return np.array([prove(self.circuit, self.inputs(), wires, joint) for wires, joint in pairs])

    def shares_of_proofs(self) -> list[FieldArray]:
        length = PROOFS * self.circuit.proof_length
        others = [
            self.elements(seed, PROOF, bytes([PROOFS, j]), length).reshape(PROOFS, -1)
            for j, seed in enumerate(self.helpers, start=1)
        ]
        leader = self.proofs()
        for other in others:
            leader = subtract(leader, other)
        return [leader, *others]

    def verifiers(self) -> list[FieldArray]:
        """Each verifier's share of the messages of all proofs."""
        key = bytes.fromhex(self.vector["verify_key"])
        points = self.elements(key, QUERY, bytes([PROOFS]) + self.nonce, PROOFS)
        asked = [Query(self.circuit, np.empty(0, dtype=np.uint64), int(point)) for point in points]
        return [
            np.array([query(q, x, p, r, self.shares) for q, p, r in zip(asked, proof, self.joint(), strict=True)])
            for x, proof in zip(self.shares_of_inputs(), self.shares_of_proofs(), strict=True)
        ]


def test_the_sponge_is_that_of_the_standard() -> None:
    """With 24 rounds and the domain of SHAKE it is SHAKE128; with 12, the first answer of RFC 9861."""
    for length in (0, 1, 167, 168, 500):
        message = bytes(range(256)) * 2
        assert sponge(message[:length], 0x1F, 400, 24, 168) == hashlib.shake_128(message[:length]).digest(400)
    expected = "1e415f1c5983aff2169217277d17bb538cd945a397ddec541f1ce41af2c1b74c"
    assert turboshake128(b"", 0x1F, 32).hex() == expected


@each_vector
def test_proofs_are_those_of_the_draft(vector: dict[str, Any]) -> None:
    draft = Draft(vector)
    leader = to_bytes(draft.shares_of_inputs()[0]) + to_bytes(draft.shares_of_proofs()[0].reshape(-1))
    assert leader.hex() == vector["input_shares"][0][: 2 * len(leader)]
    assert b"".join(draft.joint_parts()).hex() == vector["public_share"]


@each_vector
def test_verifier_shares_are_those_of_the_draft_and_the_proofs_hold(vector: dict[str, Any]) -> None:
    draft = Draft(vector)
    verifiers = draft.verifiers()
    for share, part, expected in zip(verifiers, draft.joint_parts(), vector["verifier_shares"], strict=True):
        assert (to_bytes(share.reshape(-1)) + part).hex() == expected
    total = verifiers[0]
    for share in verifiers[1:]:
        total = add(total, share)
    assert all(map(decide, total))


@each_vector
def test_shares_of_the_sum_are_those_of_the_draft(vector: dict[str, Any]) -> None:
    draft = Draft(vector)
    truncated = [draft.circuit.truncate(share) for share in draft.shares_of_inputs()]
    assert [to_bytes(share).hex() for share in truncated] == vector["out_shares"]
