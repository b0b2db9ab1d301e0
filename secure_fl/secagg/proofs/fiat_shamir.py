"""What is random in a proof and who decides it (draft-irtf-cfrg-vdaf, section 7.2).

*Joint randomness* is known to the bank when it proves, and must not be of its choice: it is a hash of one part from
each party, which commits to that party's share of the inputs. Each party makes its own part from its own share and
takes the others' from the bank, sealed with its share; so a bank that proves for other inputs than it shares is found
out, and an aggregator cannot have a holder compute with randomness that is not the bank's, which would show a linear
equation about the inputs. The hash covers the attempt and the bank, and a part a secret seed, so that nobody can test
a guess by it.

*Query randomness* is unknown to banks until all uploads are in: it is expanded from a key that the aggregator then
draws, fresh in each attempt, the same for all banks of it. One bank's chance to pass does not depend on the others',
and what a verifier sees stays masked by each bank's own seeds, wherever the proof is queried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.proofs.circuit import Circuit
from secure_fl.secagg.proofs.field import PRIME, FieldArray, expand
from secure_fl.secagg.proofs.flp import Query


def derive(secret: bytes, purpose: bytes) -> bytes:
    """A seed of its own for each purpose: HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length=SEED_BYTES, salt=None, info=b"secure_fl proofs " + purpose).derive(secret)


def joint_part(cohort: Cohort[ProofsPlan], bank: str, party: int, share: Iterable[bytes]) -> bytes:
    """What party `party` (0: the aggregator) adds to the joint randomness.

    `share`: all that it holds of the inputs, of which 32 bytes are a secret seed or blind of fixed place.
    """
    digest = hashlib.sha256(_bound_to(cohort, bank, b"part") + bytes([party]))
    for piece in share:
        digest.update(piece)
    return digest.digest()


def joint_seed(cohort: Cohort[ProofsPlan], bank: str, parts: Sequence[bytes]) -> bytes:
    """The hash of all parts, in the order of parties: 32 bytes."""
    return hashlib.sha256(_bound_to(cohort, bank, b"seed") + b"".join(parts)).digest()


def joint_randomness(plan: ProofsPlan, seed: bytes) -> FieldArray:
    """For each proof, r for each call of the range check: [proofs, joint_length]."""
    length = plan.circuit.joint_length
    return expand(derive(seed, b"joint randomness"), plan.proofs * length).reshape(plan.proofs, length)


def queries(plan: ProofsPlan, key: bytes) -> list[Query]:
    """Where each proof is queried."""
    return [_query(plan.circuit, derive(key, b"query %d" % number)) for number in range(plan.proofs)]


def _query(circuit: Circuit, seed: bytes) -> Query:
    """Multipliers, then the first point that is no root of unity."""
    count = 8
    while True:
        drawn = expand(seed, count)
        for point in map(int, drawn[2:]):
            if pow(point, 2 * circuit.wires_length, PRIME) != 1:
                return Query(circuit, drawn[:2], point)
        count *= 2


def _bound_to(cohort: Cohort[ProofsPlan], bank: str, what: bytes) -> bytes:
    return b"secure_fl joint " + what + cohort.digest + cohort.number[bank].to_bytes(2, "little")
