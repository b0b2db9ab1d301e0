"""A bank's half of a masked sum: Bonawitz et al. 2017, figure 4, the user's side."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, decrypt, encrypt, verify
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES, split
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_table
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import reason, require_values

T = TypeVar("T")


@dataclass(frozen=True)
class AttemptSecrets:
    """What a bank draws for one attempt and forgets with it. Used in two, they open one of its updates."""

    channel: AgreementKey = field(default_factory=AgreementKey, repr=False)
    mask: AgreementKey = field(default_factory=AgreementKey, repr=False)
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(SEED_BYTES), repr=False)


class MaskedClient:
    """One bank in one attempt. It answers each stage once, in order, and forgets its secrets with the attempt."""

    def __init__(
        self,
        cohort: Cohort[MaskedPlan],
        bank: str,
        values: IntVector,
        identity: Identity,
        directory: Mapping[str, bytes],
        drawn: AttemptSecrets | None = None,
    ) -> None:
        """`directory`: identity keys of all banks, which they know by a way that the aggregator does not control.
        `drawn`: for who shows them; by default the bank draws them itself, and nobody else has them.

        Raises `ProtocolError` where the identity took part in this attempt, or in a later one.
        """
        require_values(cohort.plan, values)
        identity.begin(cohort, bank)
        self._cohort, self._bank, self._values = cohort, bank, values
        self._identity, self._directory = identity, directory
        self._me = cohort.banks.index(bank)
        self._around, self._witnesses = wire.around(cohort, self._me), wire.witnesses(cohort)
        drawn = drawn or AttemptSecrets()
        self._channel, self._mask, self._seed = drawn.channel, drawn.mask, drawn.seed
        self._advertised = wire.AdvertisedKeys(
            self._channel.public, self._mask.public, wire.commit(self._seed), signature=b""
        )
        self._keys: dict[int, wire.AdvertisedKeys] = {}
        self._held: dict[int, tuple[bytes, bytes]] = {}  # bank -> my shares of its mask key and of its self-mask seed
        self._survivors: tuple[int, ...] = ()
        self._answered = 0

    def respond(self, request: bytes) -> bytes:
        opened = open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR)
        if self._answered >= len(wire.STAGES) or opened.stage != wire.STAGES[self._answered]:
            raise MessageError(
                f"{self._bank} was asked for {opened.stage} out of turn; each stage comes once, in order"
            )
        self._answered += 1
        stages: dict[str, Callable[[memoryview], bytes]] = {
            wire.ADVERTISE_KEYS: self._advertise_keys,
            wire.SHARE_KEYS: self._share_keys,
            wire.MASKED_INPUT: self._masked_input,
            wire.CONSISTENCY_CHECK: self._consistency_check,
            wire.UNMASK: self._unmask,
        }
        return seal(self._cohort, opened.stage, self._bank, AGGREGATOR, stages[opened.stage](opened.payload))

    def _advertise_keys(self, payload: memoryview) -> bytes:
        signature = self._identity.sign(self._advertised.signed_part(self._cohort, self._bank))
        return self._advertised.to_bytes() + signature

    def _share_keys(self, payload: memoryview) -> bytes:
        """Check the neighbours' keys; share the mask key and the self-mask seed t-of-n among them and myself."""
        rows = decode_table(payload, wire.KEYS_BYTES, len(self._cohort.banks))
        self._keys = self._each(rows, "sent keys that cannot be used", self._accept_keys)
        public = [key for keys in self._keys.values() for key in (keys.channel, keys.mask)]
        if len({*public, self._channel.public, self._mask.public}) < len(public) + 2:
            raise MessageError(f"two keys around {self._bank} are the same; the aggregator broke the protocol")
        threshold = self._cohort.plan.share_threshold
        self._require(len(self._keys) + 1, "advertised keys")
        points = [other + 1 for other in (*self._keys, self._me)]
        mask_shares = split(self._mask.secret(), points, threshold)
        seed_shares = split(self._seed, points, threshold)
        self._held[self._me] = (mask_shares[self._me + 1], seed_shares[self._me + 1])
        return encode_table(
            {other: self._encrypt_to(other, mask_shares[other + 1] + seed_shares[other + 1]) for other in self._keys}
        )

    def _accept_keys(self, other: int, row: bytes) -> wire.AdvertisedKeys:
        keys, name = wire.AdvertisedKeys.from_bytes(row), self._cohort.banks[other]
        if other not in self._around:
            raise ProtocolError(f"{name} is not a neighbour of {self._bank}; the aggregator broke the protocol")
        keys.verify(self._cohort, name, self._identity_of(name))
        for agreement, key in ((self._channel, keys.channel), (self._mask, keys.mask)):
            agreement.agree(key, b"usable")  # refused here, before any secret is shared
        return keys

    def _masked_input(self, payload: memoryview) -> bytes:
        """My values, plus my self-mask, plus a mask with each neighbour whose shares I hold."""
        rows = decode_table(payload, wire.SEALED_SHARES_BYTES, len(self._cohort.banks))
        self._held |= self._each(rows, "sent shares that cannot be opened", self._open_shares)
        self._require(len(self._held), "shared keys")
        vector = ring.to_ring(self._cohort.plan, self._values)
        add_mask(vector, self._seed)
        for other in self._held.keys() - {self._me}:
            mask = self._mask.agree(self._keys[other].mask, wire.mask_purpose(self._cohort, self._me, other))
            (add_mask if self._me < other else subtract_mask)(vector, mask)
        return ring.to_bytes(self._cohort.plan, vector)

    def _consistency_check(self, payload: memoryview) -> bytes:
        """Sign whose inputs arrived, so that banks can tell whether all were told the same."""
        self._survivors = decode_numbers(payload, len(self._cohort.banks))
        if self._me not in self._survivors or len(self._survivors) < self._cohort.plan.threshold:
            raise DropoutError(
                f"{self._bank} was told of {len(self._survivors)} survivors; it opens no sum below the threshold of "
                f"{self._cohort.plan.threshold}, nor one without itself"
            )
        if not {*self._survivors} & {*self._around} <= self._held.keys():  # U3 within U2: Bonawitz et al., figure 4
            raise MessageError(
                f"{self._bank} was told of survivors that it did not mask with; the aggregator broke the protocol"
            )
        keys_hash = self._advertised.hash
        return keys_hash + self._identity.sign(wire.survivors_statement(self._cohort, keys_hash, self._survivors))

    def _unmask(self, payload: memoryview) -> bytes:
        """For each neighbour one share: of its seed if its input arrived, else of its mask key. Never both.

        A signature that does not hold does not count, so that no single bank can keep the others from answering.
        """
        rows = decode_table(payload, wire.SIGNED_BYTES, len(self._cohort.banks))
        signed = sum(self._has_signed(other, row) for other, row in rows.items() if other in self._witnesses)
        if signed < self._cohort.plan.witness_threshold:
            raise DropoutError(
                f"{self._bank} saw {signed} signatures under the list of survivors that it was told and needs "
                f"{self._cohort.plan.witness_threshold}; make a new attempt"
            )
        arrived = set(self._survivors)
        return encode_table({other: pair[1 if other in arrived else 0] for other, pair in self._held.items()})

    def _has_signed(self, other: int, row: bytes) -> bool:
        """Whether a survivor signed the list that I was told, under the keys that I was shown, if I was shown any."""
        keys = self._advertised if other == self._me else self._keys.get(other)
        keys_hash, signature = row[: wire.HASH_BYTES], row[wire.HASH_BYTES :]
        if other not in self._survivors or (keys is not None and keys.hash != keys_hash):
            return False
        name = self._cohort.banks[other]
        statement = wire.survivors_statement(self._cohort, keys_hash, self._survivors)
        try:
            verify(self._identity_of(name), signature, statement, name)
        except MessageError:
            return False
        return True

    def _each(self, rows: Mapping[int, bytes], fault: str, read: Callable[[int, bytes], T]) -> dict[int, T]:
        """What `read` makes of each bank's row. Raises `ProtocolError`, which blames the banks whose rows are bad."""
        result: dict[int, T] = {}
        bad: dict[str, str] = {}
        for other, row in rows.items():
            try:
                result[other] = read(other, row)
            except MessageError as error:
                bad[self._cohort.banks[other]] = f"it {fault} by {self._bank}: {reason(error)}"
        if bad:
            raise ProtocolError(f"{', '.join(bad)} {fault} by {self._bank}; make a new attempt without", bad)
        return result

    def _identity_of(self, name: str) -> bytes:
        if name not in self._directory:
            raise ProtocolError(
                f"{self._bank} does not know the identity key of {name}; exchange keys before the round"
            )
        return self._directory[name]

    def _require(self, count: int, what: str) -> None:
        if count < self._cohort.plan.share_threshold:
            raise DropoutError(
                f"only {count} banks around {self._bank} {what} and {self._cohort.plan.share_threshold} are needed; "
                "wait for more banks"
            )

    def _encrypt_to(self, other: int, shares: bytes) -> bytes:
        purpose = wire.channel_purpose(self._cohort, self._me, other)
        return encrypt(self._channel.agree(self._keys[other].channel, purpose), shares, purpose)

    def _open_shares(self, other: int, sealed: bytes) -> tuple[bytes, bytes]:
        """My shares of its mask key and of its self-mask seed."""
        if other not in self._keys:
            raise ProtocolError(f"{self._bank} got shares of a bank without keys; the aggregator broke the protocol")
        purpose = wire.channel_purpose(self._cohort, other, self._me)
        shares = decrypt(self._channel.agree(self._keys[other].channel, purpose), sealed, purpose)
        return shares[:SHARE_BYTES], shares[SHARE_BYTES:]
