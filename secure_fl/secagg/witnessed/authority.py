"""A key authority that opens what witnesses vouch for: ciphertexts of so many banks, as these signed them."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.budget import HePlan, KeyParameters
from secure_fl.secagg.he.authority import HeDecryptor, KeyAuthority
from secure_fl.secagg.he.secret_keys import SecretKey
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.turns import OneAnswer
from secure_fl.secagg.witnessed.wire import read_vouched


class CarefulAuthority(KeyAuthority):
    """The key authority of the scheme, which does not take the aggregator's word for what a ciphertext sums."""

    def __init__(self, parameters: KeyParameters, witnesses: Mapping[str, bytes]) -> None:
        """`witnesses`: their public keys, which it knows by a way that the aggregator does not control."""
        super().__init__(parameters)
        self._witnesses = witnesses

    def decryptor(self, cohort: Cohort[HePlan]) -> HeDecryptor:
        return WitnessedDecryptor(cohort, self._secret, self._answers, self._witnesses)


class WitnessedDecryptor(HeDecryptor):
    """Its part in one attempt."""

    def __init__(
        self, cohort: Cohort[HePlan], secret: SecretKey, answers: OneAnswer, witnesses: Mapping[str, bytes]
    ) -> None:
        super().__init__(cohort, secret, answers)
        self._witnesses = witnesses

    def _read(self, payload: memoryview) -> tuple[int, memoryview]:
        """Raises `MessageError` unless all witnesses signed that it is the sum of so many banks."""
        return read_vouched(self._cohort, payload, self._witnesses)
