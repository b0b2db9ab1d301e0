"""What sums under a homomorphic key have in common: the key, the banks that encrypt under it, the messages before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from secure_fl.report.explain.recording import Ask, Heard, changed
from secure_fl.report.explain.scene import Request
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.deployment import PublicKeyDeployment
from secure_fl.secagg.he.public_keys import PublicKey, SealPublicKey, load_public_key
from secure_fl.secagg.he.secret_keys import SealSecretKey, SecretKey, new_secret_key
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD, Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, Message, open_message
from secure_fl.secagg.protocol import Party, Stage
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session


@dataclass(frozen=True)
class Keyed:
    """The parties of one sum."""

    cohort: Cohort[Any]
    secret: SecretKey
    public: PublicKey
    banks: dict[str, Party]
    setup: Callable[[Cohort[Any], Transcript], None]


def keyed(request: Request, scheme: Scheme, planned: Any) -> Keyed:
    """With a new key."""
    cohort: Cohort[Any] = scheme.cohort(planned, 1, request.names, session=new_session())
    secret = new_secret_key(planned.parameters_of_context)
    key = secret.public_key()
    public = load_public_key(key, planned.parameters_of_context)
    banks: dict[str, Party] = {name: HeClient(cohort, name, values, public) for name, values in request.updates.items()}
    return Keyed(cohort, secret, public, banks, PublicKeyDeployment(key, planned).setup)


def seal_keys(there: Keyed) -> tuple[SecretContext, PublicContext]:
    """SEAL's own, of a scheme that computes with more than sums."""
    assert isinstance(there.secret, SealSecretKey)
    assert isinstance(there.public, SealPublicKey)
    return there.secret.context, there.public.context


def sends_upload_of(cohort: Cohort[Any], victim: str, with_head: Callable[[Message, bytes], bytes]) -> Ask:
    """An aggregator that has one bank's upload opened in the place of the sum; `with_head`: what it says of it.

    It adds nothing else to it, which gives its words the width of a sum's.
    """

    def asks(stage: Stage, heard: Heard) -> Stage:
        if stage.name != DECRYPT:
            return stage
        upload = open_message(cohort, heard[UPLOAD, victim], recipient=AGGREGATOR, sender=victim).payload
        alone = Adder(cohort.plan)
        alone.add(upload)
        passed_off = b"".join(pack_sum(cohort.plan, alone.total()))
        return changed(cohort, stage, KEY_AUTHORITY, lambda asked: with_head(asked, passed_off))

    return asks
