"""Masking set up for one federation in one process: every bank has an identity key that all banks know."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.budget.ring import plan_masked
from secure_fl.secagg.custody import ALL_BUT_ONE, BLAME, REPEATED, STEERING, SUM_ON_THE_WIRE, UNPROTECTED_SUM, Custody
from secure_fl.secagg.graph import default_threshold
from secure_fl.secagg.identity import BanksWithIdentities
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.masked.wire import MASKED_INPUT, STAGES
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript

CUSTODY = Custody(
    scheme="masked",
    summary="Banks mask their updates with numbers that cancel in the sum; nobody holds a key that opens an update.",
    can_decrypt={
        "banks": ("their own update", "the sum of all updates"),
        AGGREGATOR: ("the sum of all updates",),
        "observer": (SUM_ON_THE_WIRE,),
    },
    broken_by=(
        "t - 1 banks around a bank (t of n, the threshold) with nobody else in the sum, because all others dropped out "
        "or an aggregator that works with them says so: they subtract their own updates",
        "an aggregator that tells banks different stories, with 2t - n banks: two groups open both secrets of a bank",
        REPEATED,
        ALL_BUT_ONE,
        "an aggregator that makes up banks, unless banks know each other's identity keys by another way",
    ),
    assumptions=(
        "Banks know each other's identity keys by a way that the aggregator does not control.",
        "In one attempt, a threshold of more than half withstands a lying aggregator alone; two thirds, one with fewer "
        "than a third of the banks.",
        "With over 100 banks each masks with a random few, and a random few sign the list of survivors: the plan says "
        "how many banks may work with the aggregator, and that holds but for a probability of 2^-40.",
        "That graph's order is derived from public values: an aggregator that tries many models to place its own banks "
        "around a victim is outside this analysis (semi-honest sampling, Bell et al.).",
        "X25519, HKDF-SHA256, AES-256 and Ed25519 are secure; masks hide computationally.",
        "The transport encrypts: whoever reads all messages opens the sum as the aggregator does, and no more.",
        "Banks refuse a model that their cohort did not agree on, and masks depend on it: groups that were shown "
        "different models do not sum together.",
        "Banks take part in each attempt once, and sign survivors under the keys of that attempt: what was said in one "
        "attempt, round or federation does not count in another.",
        BLAME,
        STEERING,
        "The commitment to the self-mask seed, by which wrong shares are found out, is an addition to the paper. Where "
        "no more shares arrive than are needed, a wrong one looks like a fault of the bank whose secret it opens.",
        UNPROTECTED_SUM,
    ),
    papers=(
        "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017",
        "Bell et al., Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, CCS 2020",
        "Pasquini, Francati, Ateniese, Eluding Secure Aggregation in Federated Learning via Model Inconsistency, "
        "CCS 2022",
    ),
)


class MaskedDeployment(BanksWithIdentities):
    """The banks' identities. The aggregator has no key at all."""

    def __init__(self, plan: MaskedPlan) -> None:
        super().__init__()

    def setup(self, cohort: Cohort[MaskedPlan], transcript: Transcript) -> None:
        """Identity keys reach the banks by another way than the aggregator, so the transcript has nothing of it."""

    def client(self, cohort: Cohort[MaskedPlan], bank: str, values: Values) -> Party:
        return MaskedClient(cohort, bank, values, self._identities.of(bank), self._identities.directory(cohort.banks))

    def trustees(self, cohort: Cohort[MaskedPlan]) -> Mapping[str, Party]:
        return {}

    def server(self, cohort: Cohort[MaskedPlan]) -> ServerHalf:
        return masked_server(cohort)


SCHEME = Scheme(
    name="masked",
    title="pairwise masks",
    stages=STAGES,
    input_stage=MASKED_INPUT,
    trustees=(),
    custody=CUSTODY,
    plan=plan_masked,
    deploy=MaskedDeployment,
    default_threshold=default_threshold,
)
