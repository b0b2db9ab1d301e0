"""Training a logistic regression on encrypted rows: a trainer computes gradients and reads neither rows nor weights.

    plan = plan_descent(features, rows, clip=4.0, rate=1.0, epochs=3)    # public
    owner = RowOwner(plan, X, y)                                         # rows, labels and the only key
    trainer = Trainer(plan, owner.keys())
    for batch in owner.training_rows():
        trainer.accept(batch)
    for _ in range(plan.task.epochs):
        owner.update(trainer.gradient(owner.request()))
    owner.weights, owner.bias

Full gradient descent from zero, each epoch one step over all rows, however many ciphertexts they fill. A slot is a row
and a ciphertext a feature, as in batched scoring. After each epoch the owner decrypts the gradient, takes the step and
encrypts the weights anew, as TenSEAL's tutorial refreshes its weights: so four products in a row are enough, whatever
the number of epochs. Without the owner, three epochs would take a ring of 32,768 and a sum over slots for each
feature by rotations: fifty times the work or more.

When it pays: not to save time. Encrypting the weights of one epoch takes the owner longer than a whole training in the
clear, since it has to touch as many ciphertexts as there are features; `benchmarks.descent` shows both. What it shows
is how a model is trained by somebody who sees nothing: a lesson, and a step towards rows and labels of several owners
under one key, which is not here.

Start with `circuit`, the computation itself; then `sigmoid`, `error_bound` and `custody`.
"""

from secure_fl.scoring.descent.plain import descend
from secure_fl.scoring.descent.planning import plan_descent, read_plan
from secure_fl.scoring.descent.plans import DescentPlan
from secure_fl.scoring.descent.row_owner import RowOwner
from secure_fl.scoring.descent.sigmoid import Sigmoid, fit_sigmoid
from secure_fl.scoring.descent.task import DescentTask
from secure_fl.scoring.descent.trainer import Trainer

__all__ = [
    "DescentPlan",
    "DescentTask",
    "RowOwner",
    "Sigmoid",
    "Trainer",
    "descend",
    "fit_sigmoid",
    "plan_descent",
    "read_plan",
]
