"""Masking set up for one federation in one process: every bank has an identity key that all banks know."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.server import masked_server
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Transcript, Values

CUSTODY = Custody(
    scheme="masked",
    summary="Banks mask their updates with numbers that cancel in the sum; nobody holds a key that opens an update.",
    can_decrypt={
        "banks": ("their own update", "the sum of all updates"),
        AGGREGATOR: ("the sum of all updates",),
        "observer": (),
    },
    broken_by=(
        "the aggregator with t banks around a bank (t of n, the threshold): they call everybody else dropped",
        "an aggregator that tells banks different stories, with 2t - n banks: two groups open both secrets of a bank",
        "an aggregator that has a round repeated without one bank, and subtracts the two sums",
        "all banks but one together: they subtract their own updates from the sum",
        "an aggregator that makes up banks, unless banks know each other's identity keys by another way",
    ),
    assumptions=(
        "Banks know each other's identity keys by a way that the aggregator does not control.",
        "A threshold of more than half withstands a lying aggregator alone; two thirds, one with a third of the banks.",
        "With over 100 banks each masks with a random few; n is then the number of a bank's share-holders, and a tenth "
        "of all banks may work with the aggregator.",
        "That graph's order is derived from public values: an aggregator that tries many models to place its own banks "
        "around a victim is outside this analysis (semi-honest sampling, Bell et al.).",
        "X25519, HKDF-SHA256, AES-256 and Ed25519 are secure; masks hide computationally.",
        "Banks refuse a model that their cohort did not agree on, and masks depend on it: groups that were shown "
        "different models do not sum together.",
        "The commitment to the self-mask seed, by which wrong shares are found out, is an addition to the paper.",
        "The sum itself is not protected: what it reveals about one bank is a matter for differential privacy.",
    ),
    papers=(
        "Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017",
        "Bell et al., Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, CCS 2020",
        "Pasquini, Francati, Ateniese, Eluding Secure Aggregation in Federated Learning via Model Inconsistency, "
        "CCS 2022",
    ),
)


class MaskedDeployment:
    """The banks' identities. The aggregator has no key at all."""

    def __init__(self, plan: MaskedPlan) -> None:
        self._identities: dict[str, SigningKey] = {}

    def setup(self, cohort: Cohort[MaskedPlan], transcript: Transcript) -> None:
        """Identity keys reach the banks by another way than the aggregator, so the transcript has nothing of it."""

    def client(self, cohort: Cohort[MaskedPlan], bank: str, values: Values) -> Party:
        directory = {name: self._identity(name).public for name in cohort.banks}
        return MaskedClient(cohort, bank, values, self._identity(bank), directory)

    def _identity(self, bank: str) -> SigningKey:
        if bank not in self._identities:
            self._identities[bank] = SigningKey()
        return self._identities[bank]

    def trustees(self, cohort: Cohort[MaskedPlan]) -> Mapping[str, Party]:
        return {}

    def server(self, cohort: Cohort[MaskedPlan]) -> ServerHalf:
        return masked_server(cohort)
