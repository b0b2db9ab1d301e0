"""The model owner: holds the weights, gets ciphertexts and answers with ciphertexts. Bytes in, bytes out, no I/O.

It cannot decrypt: no module that it reaches knows a secret key, and one that is handed to it is refused. What it
learns: how many rows there are, and when. What it hides of its weights and what not: see `custody`.
"""

from __future__ import annotations

from secure_fl.errors import MessageError
from secure_fl.scoring.circuits import BatchCircuit, PairCircuit, RowCircuit
from secure_fl.scoring.flooding import draw_flood
from secure_fl.scoring.hazmat.hiding import Hiding
from secure_fl.scoring.hazmat.objects import refuse_secret_key
from secure_fl.scoring.hazmat.public import Evaluation
from secure_fl.scoring.messages import Kind, open_message, seal
from secure_fl.scoring.plans import PlannedModel
from secure_fl.secagg.hazmat.he_words import saved


class ModelOwner:
    """One model, for the session of one data owner."""

    def __init__(self, model: PlannedModel, keys: bytes) -> None:
        """`keys`: the data owner's. Raises `MessageError`, or `SecretExposureError` where they hold a secret key."""
        self._model = model
        plan = model.plan
        if not keys:
            raise MessageError("the evaluation keys are missing; send the data owner's keys before its rows")
        refuse_secret_key(plan.parameters, keys)
        message = open_message(plan, Kind.KEYS, keys, session=None, parts=plan.key_parts)
        self._session = message.session
        computing = message.parts[: plan.key_parts - plan.hides_model]
        self._evaluation = Evaluation(plan.parameters, computing, plan.rotations)
        self._hiding = Hiding(plan.parameters, message.parts[-1]) if plan.hides_model else None
        circuit = PairCircuit if plan.paired else BatchCircuit if plan.layout == "batched" else RowCircuit
        self._circuit = circuit(model, self._evaluation)

    def __repr__(self) -> str:
        return f"ModelOwner({self._model.network!r})"

    @property
    def session(self) -> bytes:
        """The number that the data owner gave it."""
        return self._session

    def score(self, request: bytes) -> bytes:
        """The encrypted logits of one batch of encrypted rows. Raises `MessageError`."""
        plan = self._model.plan
        message = open_message(plan, Kind.ROWS, request, session=self._session, parts=plan.ciphertexts)
        scale = 2.0**plan.input_scale_bits
        values = [self._evaluation.load(part, scale) for part in message.parts]
        try:
            answer = self._circuit.logit(values)
        except RuntimeError:  # SEAL refuses to go on with ciphertexts that cancel each other
            raise MessageError(
                "encrypted rows cancel each other, so that nothing would be hidden; encrypt them again"
            ) from None
        self._evaluation.shrink(answer, plan.answer_primes)
        if self._hiding is not None:
            self._hiding.add_encrypted_zero(answer)
            answer = self._hiding.with_coefficients(answer, draw_flood(plan.flooding_bits, plan.parameters.degree))
        return seal(plan, Kind.SCORES, self._session, message.batch, message.rows, [saved(answer)])
