"""Computing on ciphertexts beyond sums: a model's owner scores rows that it cannot read.

    model = plan_batched(compile_model(layers, training_rows, clip=8.0))   # the model owner; model.plan is public
    owner = DataOwner(model.plan)                                          # the data owner draws a key
    scorer = ModelOwner(model, owner.keys())
    logits = [owner.open(scorer.score(request)) for request in owner.encrypt(rows)]

`score_encrypted(model, rows)` does the last three lines in one process and says what they took. `plan_single` instead
of `plan_batched` scores one row at a time, sooner; `plan_hidden` scores in batches and hides the weights in the noise
of answers. Start with `circuits`, the computation itself; then `planning` (what it costs, and how wrong a logit can
be), `squares` (models as squares), `noise` and `flooding`. `descent` trains on encrypted rows.
"""

from secure_fl.scoring.data_owner import DataOwner
from secure_fl.scoring.model_owner import ModelOwner
from secure_fl.scoring.network import Layer, Linear, Quadratic, Relu, plain_logits
from secure_fl.scoring.planning import plan_batched
from secure_fl.scoring.planning_hidden import plan_hidden
from secure_fl.scoring.planning_single import plan_single
from secure_fl.scoring.plans import PlannedModel, ScoringPlan
from secure_fl.scoring.scored import EncryptedScores
from secure_fl.scoring.session import score_encrypted
from secure_fl.scoring.squares import CompiledModel, compile_model

__all__ = [
    "CompiledModel",
    "DataOwner",
    "EncryptedScores",
    "Layer",
    "Linear",
    "ModelOwner",
    "PlannedModel",
    "Quadratic",
    "Relu",
    "ScoringPlan",
    "compile_model",
    "plain_logits",
    "plan_batched",
    "plan_hidden",
    "plan_single",
    "score_encrypted",
]
