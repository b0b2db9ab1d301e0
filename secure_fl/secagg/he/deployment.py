"""A homomorphic scheme set up for one federation in one process: the keys are made, every role can be handed out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secure_fl.secagg.budget import HePlan, Plan
from secure_fl.secagg.budget.he import plan_bfv, plan_ckks
from secure_fl.secagg.custody import ALL_BUT_ONE, REPEATED, UNPROTECTED_SUM, Custody
from secure_fl.secagg.hazmat.he_public import fingerprint
from secure_fl.secagg.he.authority import KeyAuthority
from secure_fl.secagg.he.client import HeClient, accept_public_key
from secure_fl.secagg.he.encoding import KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.he.server import he_server
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript

CAN_DECRYPT = {
    "banks": ("their own update", "the sum of all updates"),
    AGGREGATOR: ("the sum of all updates, once the key authority has opened it",),
    KEY_AUTHORITY: ("the sum of all updates",),
    "observer": ("the sum of all updates, unless the transport encrypts the key authority's answer",),
}
BROKEN_BY = (
    "aggregator and key authority together: one has the ciphertexts, the other the key",
    "an aggregator that gives the key authority a single upload and calls it a sum",
    "an aggregator that makes up a ciphertext whose decryption is the key: one answer of the key authority can do, and "
    "the key opens every upload, past and to come",
    "an aggregator that encrypts made-up updates in the place of all banks but one, and subtracts them",
    "an aggregator that shows all banks but one a model that cannot learn: ciphertexts are not bound to a model",
    "an aggregator that has two sums of the same uploads opened, in two rounds, and subtracts them",
    REPEATED,
    "a bank and a curious aggregator together: the bank uploads minus the sum of all others' ciphertexts but one (two "
    "encryptions of zero - c, for three banks), and that one's update is the sum",
    "a bank and the key authority together, if the bank also obtains another bank's upload",
    ALL_BUT_ONE,
)
ASSUMPTIONS = (
    "The aggregator follows the protocol (honest but curious), and does not collude with the key authority. Fewer "
    "banks than threshold - 1 pool what they see with it, and they follow the protocol too.",
    "Banks know the fingerprint of the key authority's public key by a way that the aggregator does not control.",
    "Ring-LWE at N = 4096 and a 106-bit modulus gives 128-bit security (Bossuat et al., 2024).",
    "A sum is wrong with the probability that the plan states, and so is one of all sums of a key. A wrong sum tells "
    "something of the key, under an exact scheme too (IND-CPA-D: Cheon et al., CCS 2024; Checri et al., CRYPTO 2024).",
    "Banks encrypt as they should. One that shifts its ciphertext by half a step reads off the sum how the noise fell, "
    "and the noise depends on the key; nothing but a proof about each ciphertext could stop that.",
    "Banks encrypt values in the range of the plan. Nothing checks a single one: a bank can claim a large weight and "
    "steer the mean, and with values beyond the range, or a damaged ciphertext, spoil the sum. Where a field leaves "
    "its range that shows, stops the round for all, and nobody knows whose it was.",
    "An aggregator that shows banks different models is not noticed.",
    UNPROTECTED_SUM,
)
_PAPERS = (
    "Bossuat et al., Security Guidelines for Implementing Homomorphic Encryption, 2024",
    "Cheon, Choe, Passelegue, Stehle, Suvanto, Attacks Against the IND-CPA-D Security of Exact FHE Schemes, CCS 2024",
    "Checri, Sirdey, Boudguiga, Bultel, On the Practical CPA-D Security of 'exact' and Threshold FHE Schemes and "
    "Libraries, CRYPTO 2024",
)
CKKS_CUSTODY = Custody(
    scheme="ckks",
    summary="Updates are encrypted at the bank; the aggregator adds ciphertexts; the key authority opens only the sum.",
    can_decrypt=CAN_DECRYPT,
    broken_by=BROKEN_BY,
    assumptions=(
        *ASSUMPTIONS,
        "Sums are rounded to the exact integers before they leave the key authority, which takes CKKS's key-dependent "
        "error away; that is a safeguard, not a proof of IND-CPA-D security.",
    ),
    papers=(
        "Cheon, Kim, Kim, Song, Homomorphic Encryption for Arithmetic of Approximate Numbers, ASIACRYPT 2017",
        "Li, Micciancio, On the Security of Homomorphic Encryption on Approximate Numbers, EUROCRYPT 2021",
        *_PAPERS,
    ),
)
BFV_CUSTODY = Custody(
    scheme="bfv",
    summary="Updates are encrypted at the bank; the aggregator adds ciphertexts; the key authority opens only the sum.",
    can_decrypt=CAN_DECRYPT,
    broken_by=BROKEN_BY,
    assumptions=ASSUMPTIONS,
    papers=(
        "Brakerski, Fully Homomorphic Encryption without Modulus Switching from Classical GapSVP, CRYPTO 2012",
        "Fan, Vercauteren, Somewhat Practical Fully Homomorphic Encryption, IACR ePrint 2012/144",
        *_PAPERS,
    ),
)


class PublicKeyDeployment:
    """The public key of a key authority, as banks and aggregator accepted it.

    In one process one public context serves all of them: it holds nothing that they do not all know.
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

    def __init__(self, plan: HePlan) -> None:
        self._authority = KeyAuthority(plan.parameters_of_context)
        super().__init__(self._authority.public_key(), plan)

    def trustees(self, cohort: Cohort[HePlan]) -> Mapping[str, Party]:
        return {KEY_AUTHORITY: self._authority.decryptor(cohort)}

    def server(self, cohort: Cohort[HePlan]) -> ServerHalf:
        return he_server(cohort, self._public)


def _homomorphic(custody: Custody, title: str, plan: Callable[[int, int, int | None, int], Plan]) -> Scheme:
    return Scheme(
        name=custody.scheme,
        title=title,
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=(KEY_AUTHORITY,),
        custody=custody,
        plan=plan,
        deploy=HeDeployment,
    )


CKKS = _homomorphic(CKKS_CUSTODY, "CKKS encryption", plan_ckks)
BFV = _homomorphic(BFV_CUSTODY, "BFV encryption", plan_bfv)
