"""What a bank signs of an upload: it counts for that bank, that upload and that attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from secure_fl.errors import MessageError
from secure_fl.secagg.identity import Identities
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.signed import require_upload

CohortFactory = Callable[..., Cohort[Any]]
OTHERS: dict[str, dict[str, Any]] = {
    "round": {"round": 2},
    "attempt": {"attempt": 2},
    "session": {"session": b"another session."},
    "model": {"context": b"another model"},
}


@pytest.fixture
def cohort(make_cohort: CohortFactory) -> Cohort[Any]:
    return make_cohort("additive")


def test_a_signature_is_of_one_bank_upload_and_attempt(cohort: Cohort[Any]) -> None:
    known = Identities()
    directory, digest = known.directory(cohort.banks), bytes(32)
    signature = known.of("bank-1").sign_upload(cohort, "bank-1", digest)
    require_upload(cohort, "bank-1", directory, digest, signature)
    for bank, said, of in (("bank-2", digest, signature), ("bank-1", b"x" * 32, signature), ("bank-1", digest, b"")):
        with pytest.raises(MessageError, match=f"a signature of {bank} does not verify"):
            require_upload(cohort, bank, directory, said, of)
    for change in OTHERS.values():
        with pytest.raises(MessageError, match="does not verify"):
            require_upload(replace(cohort, **change), "bank-1", directory, digest, signature)


def test_what_one_bank_signs_in_anothers_name_counts_for_neither(cohort: Cohort[Any]) -> None:
    known = Identities()
    directory = known.directory(cohort.banks)
    signature = known.of("bank-2").sign_upload(cohort, "bank-1", bytes(32))
    for bank in ("bank-1", "bank-2"):
        with pytest.raises(MessageError, match=f"a signature of {bank} does not verify"):
            require_upload(cohort, bank, directory, bytes(32), signature)


def test_a_bank_whose_key_nobody_knows_has_signed_nothing(cohort: Cohort[Any]) -> None:
    signature = Identities().of("bank-1").sign_upload(cohort, "bank-1", bytes(32))
    with pytest.raises(MessageError, match="nobody knows an identity key of bank-1; ask for another roster"):
        require_upload(cohort, "bank-1", {}, bytes(32), signature)


def test_every_bank_has_a_key_of_its_own_that_lasts(cohort: Cohort[Any]) -> None:
    known = Identities()
    keys = known.directory(cohort.banks)
    assert len(set(keys.values())) == len(cohort.banks)
    assert known.directory(cohort.banks) == keys
