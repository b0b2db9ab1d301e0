"""Additive sharing set up for one federation in one process: the share-holders have keys that the banks know."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.holder import ShareHolder, ShareHolderKey
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.additive.wire import UPLOAD, holder_name
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.budget.ring import SHARE_HOLDERS, plan_additive
from secure_fl.secagg.custody import ALL_BUT_ONE, REPEATED, STEERING, SUM_ON_THE_WIRE, UNPROTECTED_SUM, Custody
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript

HOLDERS = tuple(holder_name(number) for number in range(1, SHARE_HOLDERS + 1))

CUSTODY = Custody(
    scheme="additive",
    summary="Each bank splits its update into random shares; nobody can read an update without all of its shares.",
    can_decrypt={
        "banks": ("their own update", "the sum of all updates"),
        AGGREGATOR: ("the sum of all updates, once all share-holders have answered",),
        **dict.fromkeys(HOLDERS, ()),
        "observer": (SUM_ON_THE_WIRE,),
    },
    broken_by=(
        f"the aggregator and all {SHARE_HOLDERS} share-holders together",
        "an aggregator that makes up the shares of all banks but one, and subtracts them: nothing proves who made one",
        REPEATED,
        ALL_BUT_ONE,
    ),
    assumptions=(
        "At least one of aggregator and share-holders does not collude with the others.",
        "Banks know the share-holders' public keys by a way that the aggregator does not control.",
        "Every share-holder answers: if one is silent, the round has no sum. One that lies spoils the sum, unseen, or "
        "says of any bank that it cannot open its share, and that bank is left out.",
        STEERING,
        "Two of three shares travel as seeds: secrecy is computational (AES-256, X25519), not perfect.",
        "The aggregator passes on only what banks sent. Shares are bound to the model: those of banks that were shown "
        "different models cannot be opened together.",
        UNPROTECTED_SUM,
    ),
    papers=(
        "Damgard, Pastro, Smart, Zakarias, Multiparty Computation from Somewhat Homomorphic Encryption, CRYPTO 2012",
        "Corrigan-Gibbs, Boneh, Prio: Private, Robust, and Scalable Computation of Aggregate Statistics, NSDI 2017",
    ),
)


class AdditiveDeployment:
    """The share-holders' keys. The aggregator has none."""

    def __init__(self, plan: AdditivePlan) -> None:
        self._holders = {name: ShareHolderKey(name) for name in HOLDERS}

    def setup(self, cohort: Cohort[AdditivePlan], transcript: Transcript) -> None:
        """The share-holders' public keys reach the banks by another way, so the transcript has nothing of it."""

    def client(self, cohort: Cohort[AdditivePlan], bank: str, values: Values) -> Party:
        return AdditiveClient(cohort, bank, values, {name: h.key.public for name, h in self._holders.items()})

    def trustees(self, cohort: Cohort[AdditivePlan]) -> Mapping[str, Party]:
        return {name: ShareHolder(cohort, holder) for name, holder in self._holders.items()}

    def server(self, cohort: Cohort[AdditivePlan]) -> ServerHalf:
        return additive_server(cohort)


SCHEME = Scheme(
    name="additive",
    title="additive shares",
    stages=(UPLOAD,),
    input_stage=UPLOAD,
    trustees=HOLDERS,
    custody=CUSTODY,
    plan=plan_additive,
    deploy=AdditiveDeployment,
)
