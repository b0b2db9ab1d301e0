"""A homomorphic scheme set up for one federation in one process: the keys are made, every role can be handed out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secure_fl.secagg.budget import Committee, HePlan, Plan
from secure_fl.secagg.budget.bfv import plan_bfv
from secure_fl.secagg.budget.ckks import plan_ckks
from secure_fl.secagg.budget.rlwe import EXPERIMENTAL, plan_rlwe
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.hazmat.he_public import fingerprint
from secure_fl.secagg.he.authority import KeyAuthority
from secure_fl.secagg.he.client import HeClient
from secure_fl.secagg.he.custody import BFV_CUSTODY, CKKS_CUSTODY, RLWE_CUSTODY
from secure_fl.secagg.he.public_keys import accept_public_key
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.threshold import deployment as threshold
from secure_fl.secagg.transcript import Transcript


class PublicKeyDeployment:
    """The public key of a key authority, as banks and aggregator accepted it.

    In one process one public key serves all of them: it holds nothing that they do not all know.
    """

    def __init__(self, public_key: bytes, plan: HePlan) -> None:
        self._public_key = public_key
        self._public = accept_public_key(public_key, fingerprint(public_key), plan.parameters_of_context)

    def setup(self, cohort: Cohort[Any], transcript: Transcript) -> None:
        """The way of the public key, once per federation: key authority -> aggregator -> banks."""
        for sender, recipients in ((KEY_AUTHORITY, (AGGREGATOR,)), (AGGREGATOR, cohort.banks)):
            for recipient in recipients:
                message = seal(cohort, "public_key", sender, recipient, self._public_key)
                transcript.record(cohort, "public_key", sender, recipient, message)

    def client(self, cohort: Cohort[Any], bank: str, values: Values) -> Party:
        return HeClient(cohort, bank, values, self._public)


class HeDeployment(PublicKeyDeployment):
    """The key authority with its key pair, and who adds and opens under it."""

    def __init__(self, plan: HePlan, authority: KeyAuthority | None = None) -> None:
        self._authority = authority or KeyAuthority(plan.parameters_of_context)
        super().__init__(self._authority.public_key(), plan)

    def trustees(self, cohort: Cohort[HePlan]) -> Mapping[str, Party]:
        return {KEY_AUTHORITY: self._authority.decryptor(cohort)}

    def server(self, cohort: Cohort[HePlan]) -> ServerHalf:
        return he_server(cohort)


def _homomorphic(
    custody: Custody,
    title: str,
    plan: Callable[[int, int, int | None, int], Plan],
    experimental: str = "",
    with_committee: Callable[[Committee], Scheme] | None = None,
) -> Scheme:
    return Scheme(
        name=custody.scheme,
        title=title,
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=(KEY_AUTHORITY,),
        custody=custody,
        plan=plan,
        deploy=HeDeployment,
        trustee_stages={KEY_AUTHORITY: DECRYPT},
        with_committee=with_committee,
        experimental=experimental,
    )


CKKS = _homomorphic(CKKS_CUSTODY, "CKKS encryption", plan_ckks, with_committee=threshold.CKKS)
BFV = _homomorphic(BFV_CUSTODY, "BFV encryption", plan_bfv, with_committee=threshold.BFV)
RLWE = _homomorphic(RLWE_CUSTODY, "Ring-LWE of our own (experimental)", plan_rlwe, EXPERIMENTAL)
