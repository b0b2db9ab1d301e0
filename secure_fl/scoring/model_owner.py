"""The model owner: holds the weights, gets ciphertexts and answers with ciphertexts. Bytes in, bytes out, no I/O.

It cannot decrypt: no module that it reaches knows a secret key, and one that is handed to it is refused. What it
learns: how many rows there are, and when. What it does not hide: see `custody`.
"""

from __future__ import annotations

from secure_fl.errors import MessageError
from secure_fl.scoring.circuits import BatchCircuit, RowCircuit
from secure_fl.scoring.hazmat.objects import refuse_secret_key
from secure_fl.scoring.hazmat.public import Evaluation
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.scoring.plans import PlannedModel


class ModelOwner:
    """One model, for the session of one data owner."""

    def __init__(self, model: PlannedModel, keys: bytes) -> None:
        """`keys`: the data owner's. Raises `MessageError`, or `SecretExposureError` where they hold a secret key."""
        self._model = model
        plan = model.plan
        if not keys:
            raise MessageError("the evaluation keys are missing; send the data owner's keys before its rows")
        refuse_secret_key(plan.parameters, keys)
        kinds = (plan.parameters.special_bits is not None) + bool(plan.rotations)
        message = open_message(plan, Kind.KEYS, keys, session=None, parts=kinds)
        self._session = message.session
        self._evaluation = Evaluation(plan.parameters, message.parts, plan.rotations)
        circuit = BatchCircuit if plan.layout == "batched" else RowCircuit
        self._circuit = circuit(model, self._evaluation)

    def __repr__(self) -> str:
        return f"ModelOwner({self._model.network!r})"

    def score(self, request: bytes) -> bytes:
        """The encrypted logits of one batch of encrypted rows. Raises `MessageError`."""
        plan = self._model.plan
        message = open_message(plan, Kind.ROWS, request, session=self._session, parts=plan.ciphertexts)
        scale = 2.0**plan.input_scale_bits
        values = [self._evaluation.load(part, scale) for part in message.parts]
        try:
            answer = self._evaluation.save_smallest(self._circuit.logit(values))
        except RuntimeError:  # SEAL refuses to go on with ciphertexts that cancel each other
            raise MessageError(
                "encrypted rows cancel each other, so that nothing would be hidden; encrypt them again"
            ) from None
        return seal(plan, Kind.SCORES, self._session, message.batch, message.rows, [answer])
