"""A committee set up for one federation in one process: members make the key with messages that are all recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial

from secure_fl.secagg.budget import Committee, Plan
from secure_fl.secagg.budget.slots import plan_slots
from secure_fl.secagg.budget.threshold import ThresholdPlan, plan_threshold
from secure_fl.secagg.committed.wire import COMMIT, UPLOAD
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.collective import JointKey
from secure_fl.secagg.identity import BanksWithIdentities
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.threshold.client import ThresholdClient
from secure_fl.secagg.threshold.custody import custody_of, members_of
from secure_fl.secagg.threshold.keys import KeyMaking, Setting, accept_joint_key
from secure_fl.secagg.threshold.member import Member, MemberKey
from secure_fl.secagg.threshold.server import threshold_server
from secure_fl.secagg.threshold.wire import OPEN
from secure_fl.secagg.transcript import Transcript

COMMITMENTS, PARTS, JOINT_KEY = "key_commitments", "key_parts", "joint_key"


class ThresholdDeployment(BanksWithIdentities):
    """The members with their parts, and the banks' identities. The aggregator has no key; nobody has the whole one."""

    def __init__(self, plan: ThresholdPlan) -> None:
        super().__init__()
        self._plan = plan
        self._members: dict[str, MemberKey] = {}
        self._joint: JointKey

    def setup(self, cohort: Cohort[ThresholdPlan], transcript: Transcript) -> None:
        names = cohort.trustees
        own = {name: AgreementKey() for name in names}
        seed = hashlib.sha256(b"secure_fl committee" + cohort.digest).digest()
        setting = Setting(
            self._plan.ring, self._plan.committee, names, seed, {name: key.public for name, key in own.items()}
        )
        making = {name: KeyMaking(setting, name, own[name]) for name in names}
        commitments = self._gathered(cohort, transcript, COMMITMENTS, {n: m.commit() for n, m in making.items()})
        published = self._gathered(
            cohort, transcript, PARTS, {name: member.publish(commitments) for name, member in making.items()}
        )
        accepted = {name: member.accept(published) for name, member in making.items()}
        self._members = {name: key for name, (key, _) in accepted.items()}
        for bank in cohort.banks:
            message = seal(cohort, JOINT_KEY, AGGREGATOR, bank, list(published.values()))
            transcript.record(cohort, JOINT_KEY, AGGREGATOR, bank, message)
        fingerprints = {name: fingerprint for name, (_, fingerprint) in accepted.items()}
        self._joint = accept_joint_key(setting, published, fingerprints)

    def _gathered(
        self, cohort: Cohort[ThresholdPlan], transcript: Transcript, stage: str, said: Mapping[str, dict[int, bytes]]
    ) -> dict[int, bytes]:
        """What members said of parts, which the aggregator passes on to all of them."""
        for name, of_parts in said.items():
            message = seal(cohort, stage, name, AGGREGATOR, list(of_parts.values()))
            transcript.record(cohort, stage, name, AGGREGATOR, message)
        together = {part: data for of_parts in said.values() for part, data in of_parts.items()}
        for name in said:
            message = seal(cohort, stage, AGGREGATOR, name, [together[part] for part in sorted(together)])
            transcript.record(cohort, stage, AGGREGATOR, name, message)
        return dict(sorted(together.items()))

    def client(self, cohort: Cohort[ThresholdPlan], bank: str, values: Values) -> Party:
        return ThresholdClient(cohort, bank, values, self._identities.of(bank), self._joint)

    def trustees(self, cohort: Cohort[ThresholdPlan]) -> Mapping[str, Party]:
        directory = self._identities.directory(cohort.banks)
        return {name: Member(cohort, key, directory) for name, key in self._members.items()}

    def server(self, cohort: Cohort[ThresholdPlan]) -> ServerHalf:
        return threshold_server(cohort, self._identities.directory(cohort.banks))


def _scheme(name: str, title: str, plan: Callable[..., Plan], committee: Committee) -> Scheme:
    return Scheme(
        name=name,
        title=title,
        stages=(COMMIT, UPLOAD),
        input_stage=UPLOAD,
        trustees=members_of(committee),
        custody=custody_of(name, committee),
        plan=partial(plan, name, committee=committee),
        deploy=ThresholdDeployment,
        trustee_stages=dict.fromkeys(members_of(committee), OPEN),
        with_committee=partial(_scheme, name, title, plan),
    )


BFV = partial(_scheme, "bfv", "BFV encryption", plan_threshold)
CKKS = partial(_scheme, "ckks", "CKKS encryption", plan_slots)
"""Sums that a quorum of a committee opens."""
