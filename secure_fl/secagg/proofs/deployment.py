"""Sums of proven inputs set up for one federation in one process, and what they say about custody."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.additive.deployment import HOLDERS
from secure_fl.secagg.additive.wire import UPLOAD
from secure_fl.secagg.budget.proofs import SCHEME_NAME, ProofsPlan, plan_proofs
from secure_fl.secagg.budget.ring import SHARE_HOLDERS
from secure_fl.secagg.custody import ALL_BUT_ONE, LEFT_ALONE, REPEATED, SUM_ON_THE_WIRE, UNPROTECTED_SUM, Custody
from secure_fl.secagg.identity import BanksWithIdentities
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.proofs.client import ProvingClient
from secure_fl.secagg.proofs.holder import ProofHolder, ProofHolderKey
from secure_fl.secagg.proofs.server import proofs_server
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript

CUSTODY = Custody(
    scheme=SCHEME_NAME,
    summary="Each bank splits its update into random shares, and proves to those who hold them that it lies in range "
    "and under the norm bound; nobody can read an update without all of its shares.",
    can_decrypt={
        "banks": ("their own update", "the sum of the accepted updates"),
        AGGREGATOR: (
            "of each bank whether its proof holds",
            "the sum of the accepted updates, once all share-holders have answered",
        ),
        **dict.fromkeys(HOLDERS, ("which banks were accepted",)),
        "observer": ("which banks were accepted", SUM_ON_THE_WIRE),
    },
    broken_by=(
        f"the aggregator and all {SHARE_HOLDERS} share-holders together",
        LEFT_ALONE,
        REPEATED,
        ALL_BUT_ONE,
        "an aggregator that makes up banks, unless share-holders know the banks' identity keys by another way",
    ),
    assumptions=(
        "At least one of aggregator and share-holders does not collude with the others, and follows the protocol: then "
        "the others learn of an honest bank only that its proof holds, even if they deviate. An honest holder verifies "
        "a share once in an attempt, under joint randomness that the bank sealed for it.",
        "Proofs bind banks only where the aggregator and all share-holders are honest. Any one of them that is not can "
        "have a bad proof pass, because its share of the verifier's message is what it says; it could as well add what "
        "it likes to its share of the sum. It can also have an honest bank left out, which tells it nothing new.",
        "If these are honest, an honest bank is never refused. An invalid update passes with the chance that the plan "
        "states: of one upload (forgery_bits), and of 2**40 uploads whose makers hash 2**80 times before "
        "(forgery_bits_of_a_life), where SHA-256 is a random oracle.",
        "What is proved: each value is an integer in range, and the update, measured from the middle of the range, is "
        "no longer than the norm bound. Within that a bank can send what it likes, and claim what it likes about rows.",
        "Sums that share-holders give are masked for the banks that they were asked for: asked for different ones, "
        "they give nothing that can be opened. One that is silent stops the sum; one that lies about its share of it "
        "spoils it, unseen unless the sum leaves its range.",
        "Banks and share-holders know each other's public keys by a way that the aggregator does not control.",
        "Shares of share-holders travel as seeds: secrecy is computational (AES-256, X25519, SHA-256, Ed25519), not "
        "perfect.",
        "Share-holders verify and add up what banks signed for this attempt and this model: shares of banks that were "
        "shown different models cannot be opened together.",
        UNPROTECTED_SUM,
    ),
    papers=(
        "Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai, Zero-Knowledge Proofs on Secret-Shared Data via Fully Linear "
        "PCPs, CRYPTO 2019",
        "Corrigan-Gibbs, Boneh, Prio: Private, Robust, and Scalable Computation of Aggregate Statistics, NSDI 2017",
        "Davis, Patton, Rosulek, Schoppmann, Verifiable Distributed Aggregation Functions, PoPETs 2023",
        "Barnes, Cook, Patton, Schoppmann, Verifiable Distributed Aggregation Functions, draft-irtf-cfrg-vdaf",
        "Rothblum, Omri, Chen, Talwar, PINE: Efficient Norm-Bound Verification for Secret-Shared Vectors, USENIX "
        "Security 2024",
    ),
)


class ProofsDeployment(BanksWithIdentities):
    """The share-holders' keys, and the banks' identities. The aggregator has none."""

    def __init__(self, plan: ProofsPlan) -> None:
        super().__init__()
        self._holders = {name: ProofHolderKey(name) for name in HOLDERS}
        self._public = {name: holder.key.public for name, holder in self._holders.items()}

    def setup(self, cohort: Cohort[ProofsPlan], transcript: Transcript) -> None:
        """The share-holders' public keys reach the banks and each other another way; the transcript has nothing."""

    def client(self, cohort: Cohort[ProofsPlan], bank: str, values: Values) -> Party:
        return ProvingClient(cohort, bank, values, self._identities.of(bank), self._public)

    def trustees(self, cohort: Cohort[ProofsPlan]) -> Mapping[str, Party]:
        directory = self._identities.directory(cohort.banks)
        return {name: ProofHolder(cohort, holder, self._public, directory) for name, holder in self._holders.items()}

    def server(self, cohort: Cohort[ProofsPlan]) -> ServerHalf:
        return proofs_server(cohort)


def proven_scheme(norm_bound: float | None = None) -> Scheme:
    """The scheme under a norm bound. It is not in `SCHEMES`: those need no bound.

    `norm_bound`: the longest update that is accepted, in quantization steps (L2) from the middle of the range;
    None: only the range is proved.
    """

    def planned(banks: int, parameters: int, bits: int | None, threshold: int) -> ProofsPlan:
        return plan_proofs(banks, parameters, bits, threshold, norm_bound)

    return Scheme(
        name=SCHEME_NAME,
        title="proven additive shares",
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=HOLDERS,
        custody=CUSTODY,
        plan=planned,
        deploy=ProofsDeployment,
    )
