"""The schemes by name: the one place where a name becomes a protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from secure_fl.secagg import plaintext
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.ckks import deployment as ckks
from secure_fl.secagg.ckks.encoding import KEY_AUTHORITY
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.masked import deployment as masked
from secure_fl.secagg.masked.wire import MASKED_INPUT, STAGES
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Transcript, Values


class Deployment(Protocol):
    """A scheme whose keys are made: for one federation, any number of rounds."""

    def setup(self, cohort: Any, transcript: Transcript) -> None:
        """Record what was exchanged to get here."""

    def client(self, cohort: Any, bank: str, values: Values) -> Party:
        """The client half of one bank in one round."""

    def trustees(self, cohort: Any) -> Mapping[str, Party]:
        """The other parties of one round."""

    def server(self, cohort: Any) -> ServerHalf:
        """The aggregator's half of one round."""


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

    def cohort(self, plan: Plan, round_: int, banks: tuple[str, ...], context: bytes = b"") -> Cohort[Plan]:
        return Cohort(plan, round_, banks, self.trustees, context)


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
    "ckks": Scheme(
        name="ckks",
        stages=("upload",),
        input_stage="upload",
        trustees=(KEY_AUTHORITY,),
        custody=ckks.CUSTODY,
        deploy=ckks.CkksDeployment,
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
