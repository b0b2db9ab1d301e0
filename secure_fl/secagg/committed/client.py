"""A bank's half where uploads are committed to: it commits, sees who else did, and shows what it committed to."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from secure_fl.errors import DropoutError, MessageError
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.committed.wire import COIN_BYTES, COMMIT, UPLOAD, commitment, digest_of, read_list, vouched
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal

_STAGES = (COMMIT, UPLOAD)


class CommittedClient:
    """One bank in one attempt. It encrypts once, answers each stage once, in order, and signs one list."""

    def __init__(
        self, cohort: Cohort[Plan], bank: str, identity: Identity, encrypt: Callable[[], tuple[bytes, bytes]]
    ) -> None:
        """`encrypt`: the two pieces of the bank's upload.

        Raises `ProtocolError` where the identity took part in this attempt, or in a later one.
        """
        identity.begin(cohort, bank)
        self._cohort, self._bank, self._identity, self._encrypt = cohort, bank, identity, encrypt
        self._coin = secrets.token_bytes(COIN_BYTES)
        self._pieces, self._commitment = (b"", b""), b""
        self._answered = 0

    def respond(self, request: bytes) -> bytes:
        opened = open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR)
        if self._answered >= len(_STAGES) or opened.stage != _STAGES[self._answered]:
            raise MessageError(
                f"{self._bank} was asked for {opened.stage} out of turn; each stage comes once, in order"
            )
        self._answered += 1
        said = [self._commit()] if opened.stage == COMMIT else self._upload(opened.payload)
        return seal(self._cohort, opened.stage, self._bank, AGGREGATOR, said)

    def _commit(self) -> bytes:
        self._pieces = self._encrypt()
        self._commitment = commitment(self._cohort, self._bank, self._coin, *map(digest_of, self._pieces))
        return self._commitment

    def _upload(self, listed: memoryview) -> list[bytes]:
        cohort, bank = self._cohort, self._bank
        commitments = read_list(cohort, listed)
        if commitments.get(cohort.banks.index(bank)) != self._commitment:
            raise MessageError(
                f"{bank} is not on the list with what it committed to; the aggregator broke the protocol"
            )
        if len(commitments) < cohort.plan.threshold:
            raise DropoutError(
                f"only {len(commitments)} banks are on the list and the threshold is {cohort.plan.threshold}; wait for "
                "more banks"
            )
        return [self._coin, self._identity.sign_upload(cohort, bank, vouched(listed)), *self._pieces]
