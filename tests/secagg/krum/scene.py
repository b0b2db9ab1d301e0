"""A federation whose banks are chosen by Multi-Krum, with every party within reach of whoever attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE
from secure_fl.secagg.budget.krum import KrumPlan
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.encoding import encode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.public_keys import SealPublicKey
from secure_fl.secagg.he.words import KEY_AUTHORITY, UPLOAD, pack_sum, pack_upload, unpack_upload
from secure_fl.secagg.krum.deployment import KrumDeployment, krum_scheme
from secure_fl.secagg.krum.selection import FloatMatrix, Selection
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector, Words
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.protocol import Outcome, Party, run_protocol
from secure_fl.secagg.transcript import Transcript


@dataclass(frozen=True)
class MultiKrum:
    """Blanchard et al. 2017, section 4 written out: the n - f banks of the lowest scores."""

    byzantine: int

    def __call__(self, squared: FloatMatrix, errors: FloatMatrix, refused: int = 0) -> Selection:
        n, f = len(squared), max(self.byzantine - refused, 0)
        if n < 2 * f + 3:
            raise ConfigurationError(f"Krum with f = {f} needs {2 * f + 3} banks, not {n}")
        scores = [sum(sorted(squared[i][j] for j in range(n) if j != i)[: n - f - 2]) for i in range(n)]
        order = sorted(range(n), key=lambda i: (scores[i], i))
        chosen, others = order[: n - f], order[n - f :]
        if not others:
            return Selection(tuple(sorted(chosen)))
        error = [(n - f - 2) * max(errors[i][j] for j in range(n)) for i in range(n)]
        ties = {i for i in chosen if any(scores[j] - scores[i] <= error[i] + error[j] for j in others)}
        ties |= {j for j in others if any(scores[j] - scores[i] <= error[i] + error[j] for i in chosen)}
        return Selection(tuple(sorted(chosen)), tuple(sorted(ties)))


def squared_distances(updates: IntVector) -> FloatMatrix:
    """Of plaintext updates, exactly."""
    return np.array([[float(((a - b) ** 2).sum()) for b in updates] for a in updates])


def poisoned(banks: int, parameters: int, byzantine: int, seed: int, bits: int = 8) -> IntVector:
    """Updates around one direction, the last `byzantine` of them flipped, drawn at random or shifted a little."""
    rng = np.random.default_rng(seed)
    middle, spread = 1 << (bits - 1), (1 << bits) / 24
    direction = rng.normal(0, spread, parameters)
    updates = middle + direction + rng.normal(0, spread, (banks, parameters))
    for row in range(banks - byzantine, banks):
        kind = rng.integers(3)
        if kind == 0:
            updates[row] = middle - 4 * direction
        elif kind == 1:
            updates[row] = rng.integers(0, 1 << bits, parameters)
        else:
            updates[row] = middle + direction + 1.5 * spread
    return np.clip(np.rint(updates), 0, (1 << bits) - 1).astype(np.int64)


@dataclass
class Scene:
    """`banks` banks, of which `byzantine` are expected to be bad."""

    updates: IntVector
    byzantine: int = 1
    bits: int = 8
    threshold: int | None = None
    norm_bound: float | None = None
    plan: KrumPlan = field(init=False)
    deployment: KrumDeployment = field(init=False)

    def __post_init__(self) -> None:
        self.rule = MultiKrum(self.byzantine)
        self.scheme = krum_scheme(self.rule, self.norm_bound)
        planned = plan_for(self.scheme, len(self.updates), self.updates.shape[1], self.bits, self.threshold)
        assert isinstance(planned, KrumPlan)
        self.plan, self.deployment = planned, KrumDeployment(planned, self.rule)

    @property
    def banks(self) -> tuple[str, ...]:
        return tuple(f"bank-{row + 1}" for row in range(len(self.updates)))

    @property
    def public(self) -> PublicContext:
        assert isinstance(self.deployment._public, SealPublicKey)
        return self.deployment._public.context

    @property
    def moduli(self) -> Words:
        """[data primes, 1]."""
        return np.array(data_moduli(self.plan.parameters_of_context), dtype=np.uint64)[:, None]

    def cohort(self, round_: int = 1, attempt: int = 1) -> Cohort[Any]:
        whole = self.scheme.cohort(self.plan, round_, self.banks, b"model")
        return Cohort(whole.plan, whole.round, whole.banks, whole.trustees, whole.context, whole.session, attempt)

    def ciphertexts(self, values: IntVector, cohort: Cohort[Any] | None = None) -> Words:
        """Those of an honest upload, [ciphertexts, 2, data primes, N]."""
        cohort = cohort or self.cohort()
        answer = self.deployment.client(cohort, "bank-1", values).respond(seal(cohort, UPLOAD, AGGREGATOR, "bank-1"))
        payload = open_message(cohort, answer, recipient=AGGREGATOR, sender="bank-1").payload
        return self.stacked(unpack_upload(self.plan, payload))

    def encrypted_slots(self, slots: Any) -> Words:
        """Ciphertexts of any numbers, [ciphertexts, slots of one]."""
        return self.stacked(Halves(*self.public.encrypt(np.asarray(slots))))

    def stacked(self, halves: Halves) -> Words:
        shape = (-1, self.plan.data_primes, POLY_MODULUS_DEGREE)
        return np.stack([half.reshape(shape) for half in halves], axis=1)

    def halves(self, ciphertexts: Words) -> Halves:
        first, second = np.swapaxes(ciphertexts % self.moduli, 0, 1)
        return Halves(first.reshape(-1), second.reshape(-1))

    def added(self, *ciphertexts: Words) -> Words:
        """Modulo q."""
        total: Words = np.sum([one % self.moduli for one in ciphertexts], axis=0) % self.moduli
        return total

    def negated(self, ciphertexts: Words) -> Words:
        return (self.moduli - ciphertexts % self.moduli) % self.moduli

    def upload(self, ciphertexts: Words) -> bytes:
        """As they travel from a bank."""
        return b"".join(pack_upload(self.plan, self.halves(ciphertexts)))

    def summed(self, ciphertexts: Words) -> bytes:
        """As they travel to the key authority."""
        return b"".join(pack_sum(self.plan, self.halves(ciphertexts)))

    def slots(self, row: int) -> IntVector:
        return encode_slots(self.plan, self.updates[row])

    def parties(self, cohort: Cohort[Any], instead: Mapping[int, Party] | None = None) -> dict[str, Party]:
        """Honest banks but for those in `instead`, and the key authority."""
        clients = {
            bank: (instead or {}).get(row) or self.deployment.client(cohort, bank, self.updates[row])
            for row, bank in enumerate(self.banks)
        }
        return {**clients, KEY_AUTHORITY: self.deployment.authority(cohort)}

    def run(
        self,
        instead: Mapping[int, Party] | None = None,
        drop: Mapping[str, str] | None = None,
        cohort: Cohort[Any] | None = None,
        left_out: Sequence[str] = (),
    ) -> Outcome:
        cohort = cohort or self.cohort()
        server = self.deployment.server(cohort)
        return run_protocol(cohort, server, self.parties(cohort, instead), Transcript(), drop, left_out)

    def chosen(self, outcome: Outcome) -> list[int]:
        """Rows that are in the sum, which is checked."""
        rows = [self.banks.index(bank) for bank in sorted(outcome.sum.contributors, key=self.banks.index)]
        assert (outcome.sum.total == self.updates[rows].sum(axis=0)).all()
        return rows


@dataclass
class Sends:
    """A bank that sends these ciphertexts, or this payload, whatever it is asked."""

    scene: Scene
    cohort: Cohort[Any]
    bank: str
    sent: Words | bytes

    def respond(self, request: bytes) -> bytes:
        payload = self.sent if isinstance(self.sent, bytes) else self.scene.upload(self.sent)
        return seal(self.cohort, UPLOAD, self.bank, AGGREGATOR, payload)


class Ear:
    """A party that another one's requests and answers are kept of."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self.heard: list[tuple[bytes, bytes]] = []

    def respond(self, request: bytes) -> bytes:
        answer = self._party.respond(request)
        self.heard.append((request, answer))
        return answer
