"""Additive sharing set up for one federation in one process: the share-holders have keys that the banks know."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.custody import custody_of, holders_of
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.additive.wire import SUM_SHARES, UPLOAD
from secure_fl.secagg.budget import AdditivePlan, Committee
from secure_fl.secagg.budget.ring import ALL_OF_TWO, plan_additive
from secure_fl.secagg.identity import BanksWithIdentities
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript


class AdditiveDeployment(BanksWithIdentities):
    """The share-holders' keys, and the banks' identities. The aggregator has none."""

    def __init__(self, plan: AdditivePlan) -> None:
        super().__init__()
        self._holders = {name: ShareHolderKey(name) for name in holders_of(plan.committee)}

    def setup(self, cohort: Cohort[AdditivePlan], transcript: Transcript) -> None:
        """Banks and share-holders know each other's keys by another way, so the transcript has nothing of it."""

    @property
    def public_keys(self) -> Mapping[str, bytes]:
        """The share-holders', which everybody knows."""
        return {name: holder.key.public for name, holder in self._holders.items()}

    def client(self, cohort: Cohort[AdditivePlan], bank: str, values: Values) -> Party:
        return AdditiveClient(cohort, bank, values, self._identities.of(bank), self.public_keys)

    def trustees(self, cohort: Cohort[AdditivePlan]) -> Mapping[str, Party]:
        directory = self._identities.directory(cohort.banks)
        return {name: ShareHolder(cohort, holder, directory) for name, holder in self._holders.items()}

    def server(self, cohort: Cohort[AdditivePlan]) -> ServerHalf:
        return additive_server(cohort)


def scheme_of(committee: Committee) -> Scheme:
    """Additive sums that a quorum of these share-holders opens."""
    return Scheme(
        name="additive",
        title="additive shares",
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=holders_of(committee),
        custody=custody_of(committee),
        plan=partial(plan_additive, committee=committee),
        deploy=AdditiveDeployment,
        trustee_stages=dict.fromkeys(holders_of(committee), SUM_SHARES),
        with_committee=scheme_of,
    )


SCHEME, HOLDERS = scheme_of(ALL_OF_TWO), holders_of(ALL_OF_TWO)
