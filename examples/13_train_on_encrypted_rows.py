"""A model trained on encrypted rows: who computes sees neither rows nor labels nor weights.

.venv/bin/python examples/13_train_on_encrypted_rows.py
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from secure_fl.errors import PlanError, TrainingError
from secure_fl.scoring.descent import RowOwner, Trainer, descend, plan_descent

CLIP = 4.0  # no feature is further from its mean, in standard deviations
X, y = load_breast_cancer(return_X_y=True)
X = np.clip(StandardScaler().fit_transform(X), -CLIP, CLIP)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)

plan = plan_descent(X.shape[1], len(X), clip=CLIP, rate=0.2, epochs=3)  # public
print(f"ring of {plan.parameters.degree}; weights off by at most {plan.error_bound:.0e} from plain descent, by plan")

bank = RowOwner(plan, X, y)  # draws a key that nobody else gets
trainer = Trainer(plan, bank.keys())
for batch in bank.training_rows():  # once
    trainer.accept(batch)
for epoch in range(plan.task.epochs):
    bank.update(trainer.gradient(bank.request()))  # weights go out encrypted, the gradient comes back encrypted
    logits = X_test @ bank.weights + bank.bias
    right = np.mean((logits > 0) == y_test)
    print(f"epoch {epoch + 1}: AUPRC {average_precision_score(y_test, logits):.3f}, {right:.0%} of {len(y_test)} right")

off = np.abs(np.append(bank.bias, bank.weights) - descend(plan.task, X, y)).max()
print(f"off by less than a millionth: {off < 1e-6}")

hasty = plan_descent(X.shape[1], len(X), clip=CLIP, rate=1.0, epochs=3)
bank = RowOwner(hasty, X, y)
trainer = Trainer(hasty, bank.keys())
for batch in bank.training_rows():
    trainer.accept(batch)
try:
    while bank.epochs_left:
        bank.update(trainer.gradient(bank.request()))
except TrainingError as error:
    print(f"refused: {error}")
try:
    plan_descent(X.shape[1], len(X), clip=CLIP, rate=5.0, epochs=20)
except PlanError as error:
    print(f"refused: {error}")
