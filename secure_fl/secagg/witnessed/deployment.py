"""A key authority with witnesses, set up for one federation in one process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.committed.wire import COMMIT
from secure_fl.secagg.he.deployment import HeDeployment
from secure_fl.secagg.identity import BanksWithIdentities
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.witnessed.authority import CarefulAuthority
from secure_fl.secagg.witnessed.client import WitnessedClient
from secure_fl.secagg.witnessed.custody import custody_of, require_witnesses
from secure_fl.secagg.witnessed.server import witnessed_server
from secure_fl.secagg.witnessed.wire import VOUCH, witnesses_of
from secure_fl.secagg.witnessed.witness import Witness, WitnessKey


class WitnessedDeployment(HeDeployment, BanksWithIdentities):
    """The key authority's key pair, the witnesses' keys, and the banks' identities."""

    def __init__(self, plan: HePlan) -> None:
        self._witnesses = {name: WitnessKey(name) for name in witnesses_of(plan.witnesses)}
        known = {name: witness.key.public for name, witness in self._witnesses.items()}
        super().__init__(plan, CarefulAuthority(plan.parameters_of_context, known))
        BanksWithIdentities.__init__(self)

    def client(self, cohort: Cohort[HePlan], bank: str, values: Values) -> Party:
        return WitnessedClient(cohort, bank, values, self._identities.of(bank), self._public)

    def trustees(self, cohort: Cohort[HePlan]) -> Mapping[str, Party]:
        directory = self._identities.directory(cohort.banks)
        witnesses = {name: Witness(cohort, key, directory) for name, key in self._witnesses.items()}
        return {**super().trustees(cohort), **witnesses}

    def server(self, cohort: Cohort[HePlan]) -> ServerHalf:
        return witnessed_server(cohort, self._identities.directory(cohort.banks))


def with_witnesses(alone: Scheme, count: int) -> Scheme:
    """A homomorphic scheme whose key authority opens what so many witnesses vouch for. Raises `PlanError`."""
    require_witnesses(count)
    names = witnesses_of(count)

    def planned(banks: int, parameters: int, bits: int | None, threshold: int) -> HePlan:
        plan = alone.plan(banks, parameters, bits, threshold)
        assert isinstance(plan, HePlan)
        return replace(plan, witnesses=count)

    return replace(
        alone,
        stages=(COMMIT, *alone.stages),
        trustees=(*alone.trustees, *names),
        trustee_stages={**dict.fromkeys(names, VOUCH), **alone.trustee_stages},
        custody=custody_of(alone.custody, count),
        plan=planned,
        deploy=WitnessedDeployment,
        with_committee=None,
    )
