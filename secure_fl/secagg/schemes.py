"""The schemes by name: the one place where a name becomes a protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from secure_fl.secagg import plaintext
from secure_fl.secagg.additive import deployment as additive
from secure_fl.secagg.additive.deployment import HOLDERS
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.he.deployment import BFV_CUSTODY, CKKS_CUSTODY, HeDeployment
from secure_fl.secagg.he.encoding import KEY_AUTHORITY, UPLOAD
from secure_fl.secagg.masked import deployment as masked
from secure_fl.secagg.masked.wire import MASKED_INPUT, STAGES
from secure_fl.secagg.messages import SESSION_BYTES, Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Transcript, Values


class Deployment(Protocol):
    """A scheme whose keys are made: for one federation, any number of rounds and attempts."""

    def setup(self, cohort: Any, transcript: Transcript) -> None:
        """Record what was exchanged to get here."""

    def client(self, cohort: Any, bank: str, values: Values) -> Party:
        """The client half of one bank in one attempt."""

    def trustees(self, cohort: Any) -> Mapping[str, Party]:
        """The other parties of one attempt."""

    def server(self, cohort: Any) -> ServerHalf:
        """The aggregator's half of one attempt."""


@dataclass(frozen=True)
class Scheme:
    """What the rest of the package needs to know of a scheme."""

    name: str
    stages: tuple[str, ...]
    """The stages that ask something of the banks, in order; a drop names one of them."""
    input_stage: str
    """The stage in which a bank's values travel: a bank that misses it is not in the sum."""
    trustees: tuple[str, ...]
    custody: Custody
    deploy: Callable[[Any], Deployment]
    read_upload: Callable[[Plan, memoryview], Values] | None
    """What the aggregator can read of one upload's payload; None where it can read nothing."""

    def cohort(
        self,
        plan: Plan,
        round_: int,
        banks: tuple[str, ...],
        context: bytes = b"",
        session: bytes = bytes(SESSION_BYTES),
    ) -> Cohort[Plan]:
        """The first attempt at a round's sum. A federation gives its own session; one sum by itself needs none."""
        return Cohort(plan, round_, banks, self.trustees, context, session)


class PlaintextDeployment:
    """There are no keys and nobody to trust with them."""

    def setup(self, cohort: Cohort[Plan], transcript: Transcript) -> None:
        """Nothing is exchanged."""

    def client(self, cohort: Cohort[Plan], bank: str, values: Values) -> Party:
        return plaintext.PlaintextClient(cohort, bank, values)

    def trustees(self, cohort: Cohort[Plan]) -> Mapping[str, Party]:
        return {}

    def server(self, cohort: Cohort[Plan]) -> ServerHalf:
        return plaintext.plaintext_server(cohort)


def _homomorphic(custody: Custody) -> Scheme:
    return Scheme(
        name=custody.scheme,
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=(KEY_AUTHORITY,),
        custody=custody,
        deploy=HeDeployment,
        read_upload=None,
    )


SCHEMES: Mapping[str, Scheme] = {
    "plaintext": Scheme(
        name="plaintext",
        stages=(plaintext.UPLOAD,),
        input_stage=plaintext.UPLOAD,
        trustees=(),
        custody=plaintext.CUSTODY,
        deploy=lambda plan: PlaintextDeployment(),
        read_upload=plaintext.decode_values,
    ),
    "ckks": _homomorphic(CKKS_CUSTODY),
    "bfv": _homomorphic(BFV_CUSTODY),
    "additive": Scheme(
        name="additive",
        stages=(UPLOAD,),
        input_stage=UPLOAD,
        trustees=HOLDERS,
        custody=additive.CUSTODY,
        deploy=additive.AdditiveDeployment,
        read_upload=None,
    ),
    "masked": Scheme(
        name="masked",
        stages=STAGES,
        input_stage=MASKED_INPUT,
        trustees=(),
        custody=masked.CUSTODY,
        deploy=masked.MaskedDeployment,
        read_upload=None,
    ),
}
